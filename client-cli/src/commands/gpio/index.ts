import type { Command } from 'commander';
import type { Bind } from '../../context.js';
import { addGpioGet } from './get.js';
import { addGpioSet } from './set.js';

export function addGpioCommands(program: Command, bind: Bind): void {
  const gpio = program.command('gpio').description('digital pins of a device');
  for (const add of [addGpioGet, addGpioSet]) add(gpio, bind);
}
