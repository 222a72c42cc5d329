import type { Command } from 'commander';
import type { Bind } from '../../context.js';
import { addUartWrite } from './write.js';

export function addUartCommands(program: Command, bind: Bind): void {
  addUartWrite(program.command('uart').description("a device's serial line"), bind);
}
