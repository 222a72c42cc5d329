import type { Command } from 'commander';
import type { Bind } from '../../context.js';
import { addRtcGet } from './get.js';
import { addRtcSet } from './set.js';

export function addRtcCommands(program: Command, bind: Bind): void {
  const rtc = program.command('rtc').description("a device's clock");
  for (const add of [addRtcGet, addRtcSet]) add(rtc, bind);
}
