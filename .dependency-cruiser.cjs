// Who may import whom: the table of rooms in docs/architecture.md, as a check that fails (`make check`).
// That the domain reads no process.env is a rule of eslint.config.js.

/** What the source of each room may import beside itself. */
const ROOMS = {
  protocol: [],
  certs: ['protocol'],
  'broker-config': ['protocol'],
  webserver: ['protocol', 'certs'],
  simulators: ['protocol'],
  'client-cli': ['protocol'],
  stack: ['protocol', 'certs', 'broker-config'],
  // Black boxes: they drive processes. Of the wire contract they may know what is public.
  e2e: ['protocol'],
  bench: ['protocol'],
};
const ANY_ROOM = `^(${Object.keys(ROOMS).join('|')})/`;

const rooms = Object.entries(ROOMS).map(([room, allowed]) => ({
  name: `room-${room}`,
  comment: `${room} imports ${allowed.length > 0 ? allowed.join(', ') : 'no other room'}`,
  severity: 'error',
  from: { path: ['e2e', 'bench'].includes(room) ? `^${room}/` : `^${room}/(src|bin)/` },
  to: { path: ANY_ROOM, pathNot: [room, ...allowed].map((name) => `^${name}/`) },
}));

/** Adapters of the gateway: each stands between the domain and one thing outside. */
const ADAPTERS = ['authority', 'broker', 'http', 'store'];

module.exports = {
  forbidden: [
    { name: 'no-circles', severity: 'error', from: {}, to: { circular: true } },
    ...rooms,
    {
      name: 'rooms-by-their-public-face',
      comment: 'another room is imported by its package name, and so is what its src/index.ts exports',
      severity: 'error',
      from: { path: '^([^/]+)/' },
      to: { path: '^[^/]+/src/', pathNot: '^$1/' },
    },
    {
      name: 'domain-imports-no-adapter',
      severity: 'error',
      from: { path: '^webserver/src/domain/' },
      to: { path: '^webserver/src/', pathNot: '^webserver/src/domain/' },
    },
    {
      name: 'domain-knows-no-technology',
      severity: 'error',
      from: { path: '^webserver/src/domain/' },
      to: { path: '(^|/)node_modules/(express|amqplib|mongodb|better-sqlite3|libsql|pino|prom-client)(/|$)' },
    },
    ...ADAPTERS.map((adapter) => ({
      name: `adapter-${adapter}-alone`,
      comment: 'adapters import the domain and never each other; app.ts wires them',
      severity: 'error',
      from: { path: `^webserver/src/${adapter}/` },
      to: { path: `^webserver/src/(${ADAPTERS.filter((other) => other !== adapter).join('|')})/` },
    })),
    {
      name: 'stores-alone',
      severity: 'error',
      from: { path: '^webserver/src/store/(sqlite|mongo)/' },
      to: { path: '^webserver/src/store/(sqlite|mongo)/', pathNot: '^webserver/src/store/$1/' },
    },
    {
      name: 'src-imports-no-test',
      severity: 'error',
      from: { path: '^[^/]+/src/' },
      to: { path: '^[^/]+/test/' },
    },
    { name: 'everything-resolves', severity: 'error', from: {}, to: { couldNotResolve: true } },
    {
      name: 'src-lists-what-it-imports',
      comment: 'what runs at a user’s is a dependency, not a devDependency or a guest of another room',
      severity: 'error',
      from: { path: '^[^/]+/(src|bin)/' },
      to: {
        dependencyTypes: ['npm-dev', 'npm-no-pkg'],
        dependencyTypesNot: ['type-only'],
        pathNot: '(^|/)(node_modules/@types/|(certs|protocol|broker-config|stack)/dist/)',
      },
    },
  ],
  options: {
    doNotFollow: { path: '(^|/)(node_modules|dist)/' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.base.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default'],
    },
  },
};
