import type { Command } from 'commander';

/** What a position on the command line takes. */
export type Taken =
  | { readonly kind: 'words'; readonly words: readonly string[] }
  | { readonly kind: 'device' | 'profile' | 'file' | 'folder' | 'none' };

export interface OptionNode {
  readonly flag: string;
  readonly description: string;
  /** Null where the option takes no value. */
  readonly value: Taken | null;
}
export interface CommandNode {
  /** The words after `postern`, with spaces between; '' is `postern` itself. */
  readonly path: string;
  readonly name: string;
  readonly description: string;
  readonly children: readonly CommandNode[];
  readonly options: readonly OptionNode[];
  readonly args: readonly Taken[];
}

/** The commands as completion scripts need them, read off the commands themselves: the two cannot drift apart. */
export function commandTree(program: Command): CommandNode {
  const globals = optionsOf(program);
  const node = (command: Command, path: string): CommandNode => ({
    path,
    name: command.name(),
    description: command.description(),
    children: command
      .createHelp()
      .visibleCommands(command)
      .map((child) => node(child, path === '' ? child.name() : `${path} ${child.name()}`)),
    options: [
      ...(command === program ? [] : optionsOf(command)),
      ...globals,
      { flag: '--help', description: 'help', value: null },
    ],
    args: command.registeredArguments.map((argument) =>
      argumentTakes(argument.name(), argument.argChoices, path),
    ),
  });
  return node(program, '');
}

function optionsOf(command: Command): OptionNode[] {
  return command.options
    .filter((option) => !option.hidden && option.long !== null && option.long !== undefined)
    .map((option) => ({
      flag: option.long!,
      description: option.description,
      value:
        option.required || option.optional ? optionTakes(option.attributeName(), option.argChoices) : null,
    }));
}

function optionTakes(name: string, choices: readonly string[] | undefined): Taken {
  if (choices !== undefined) return { kind: 'words', words: choices };
  if (name === 'profile') return { kind: 'profile' };
  if (name === 'ca' || name === 'csr') return { kind: 'file' };
  return { kind: name === 'out' ? 'folder' : 'none' };
}

function argumentTakes(name: string, choices: readonly string[] | undefined, path: string): Taken {
  if (choices !== undefined) return { kind: 'words', words: choices };
  if (name === 'device') return { kind: 'device' };
  if (path.startsWith('profile ')) return { kind: 'profile' };
  if (path === 'gpio set' && name === 'value') return { kind: 'words', words: ['0', '1'] };
  if (path === 'rtc set' && name === 'time') return { kind: 'words', words: ['now'] };
  return { kind: 'none' };
}

export function* everyNode(node: CommandNode): Generator<CommandNode> {
  yield node;
  for (const child of node.children) yield* everyNode(child);
}

/** Each option once, by its flag: one flag takes the same everywhere. */
export function everyOption(tree: CommandNode): OptionNode[] {
  const byFlag = new Map<string, OptionNode>();
  for (const { options } of everyNode(tree)) for (const option of options) byFlag.set(option.flag, option);
  return [...byFlag.values()];
}

/** What is taken, as the scripts write it: `=word word`, or the kind. Quoted for a shell. */
export const takes = (taken: Taken): string =>
  quoted(taken.kind === 'words' ? `=${taken.words.join(' ')}` : taken.kind);

/** In single quotes, for bash, zsh and fish. The texts are ours: they hold neither backslash nor line break. */
export const quoted = (text: string): string => `'${text.replaceAll("'", '’')}'`;
