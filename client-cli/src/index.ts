export { run, buildProgram } from './program.js';
export { EXIT_CODES, exitCodeOf, type ExitCode } from './exit-codes.js';
export type { Io } from './io.js';
export { ft900ConfigBlock, type Ft900Config } from './material/ft900-config-block.js';
