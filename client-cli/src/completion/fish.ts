import type { CommandNode } from './tree.js';

export const fishCompletion = (_tree: CommandNode): string => '';
