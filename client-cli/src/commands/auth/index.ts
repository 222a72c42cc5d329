import type { Command } from 'commander';
import type { Bind } from '../../context.js';
import { addLogin } from './login.js';
import { addLogout } from './logout.js';
import { addSignup } from './signup.js';
import { addWhoami } from './whoami.js';

export function addAuthCommands(program: Command, bind: Bind): void {
  for (const add of [addLogin, addLogout, addSignup, addWhoami]) add(program, bind);
}
