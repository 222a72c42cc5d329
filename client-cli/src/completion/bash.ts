import type { CommandNode } from './tree.js';

export const bashCompletion = (_tree: CommandNode): string => '';
