import { Argument } from 'commander';
import type { Verb } from '../context.js';
import { bashCompletion } from '../completion/bash.js';
import { fishCompletion } from '../completion/fish.js';
import { commandTree } from '../completion/tree.js';
import { zshCompletion } from '../completion/zsh.js';
import { completeWords, isWordKind } from '../completion/words.js';

const SHELLS = { bash: bashCompletion, zsh: zshCompletion, fish: fishCompletion } as const;
type Shell = keyof typeof SHELLS;

export const addCompletion: Verb = (parent, bind) => {
  parent
    .command('completion')
    .description('print the completion script of a shell, such as: source <(postern completion bash)')
    .addArgument(new Argument('<shell>', 'the shell').choices(Object.keys(SHELLS)))
    .action(
      bind<[Shell]>(async ({ ctx, args: [shell] }) => {
        ctx.out.raw(SHELLS[shell](commandTree(parent)));
      }),
    );
  // What the scripts ask while one types: names of devices and of profiles. Silent where they cannot be had.
  parent
    .command('complete-words', { hidden: true })
    .argument('<kind>')
    .action(
      bind<[string]>(async ({ ctx, args: [kind] }) => {
        if (!isWordKind(kind)) return;
        for (const word of await completeWords(ctx, kind)) ctx.out.line(word);
      }),
    );
};
