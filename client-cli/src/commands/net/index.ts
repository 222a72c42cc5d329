import type { Command } from 'commander';
import type { Bind } from '../../context.js';
import { addNetShow } from './show.js';

export function addNetCommands(program: Command, bind: Bind): void {
  addNetShow(program.command('net').description("a device's network settings"), bind);
}
