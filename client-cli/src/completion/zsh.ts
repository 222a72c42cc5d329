import type { CommandNode } from './tree.js';

export const zshCompletion = (_tree: CommandNode): string => '';
