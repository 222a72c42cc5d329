import type { Command } from 'commander';
import type { Bind } from '../../context.js';
import { addMacGet } from './get.js';
import { addMacSet } from './set.js';

export function addMacCommands(program: Command, bind: Bind): void {
  const mac = program.command('mac').description("a device's MAC address");
  for (const add of [addMacGet, addMacSet]) add(mac, bind);
}
