import type { Verb } from '../context.js';
import { UsageError } from '../errors.js';
import { EXIT_CODES } from '../exit-codes.js';

/** `postern help [command...]`, and the topics that are no command. */
export const addHelp: Verb = (parent, bind) => {
  parent
    .command('help')
    .description('help on a command, or on the topic exit-codes')
    .argument('[command...]', 'a command, such as: device register')
    .action(
      bind<[string[]]>(async ({ ctx, args: [words] }) => {
        if (words.join(' ') === 'exit-codes') {
          ctx.out.result(EXIT_CODES, () =>
            ctx.out.pairs(
              Object.entries(EXIT_CODES).map(([code, text]) => [code.padStart(3), text] as const),
            ),
          );
          return;
        }
        let command = parent;
        for (const word of words) {
          const next = command.commands.find((child) => child.name() === word);
          if (next === undefined)
            throw new UsageError(`There is no command "${words.join(' ')}".`, {
              hints: ['See: postern help'],
            });
          command = next;
        }
        ctx.out.raw(command.helpInformation());
      }),
    );
};
