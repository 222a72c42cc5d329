import type { Command } from 'commander';
import type { Bind } from '../../context.js';
import { addProfileList } from './list.js';
import { addProfileRemove } from './remove.js';
import { addProfileUse } from './use.js';

export function addProfileCommands(program: Command, bind: Bind): void {
  const profile = program.command('profile').description('logins of this user on this machine');
  for (const add of [addProfileList, addProfileUse, addProfileRemove]) add(profile, bind);
}
