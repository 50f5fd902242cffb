// What is explored. Together they take minutes on a small machine; what takes longer is asked for with --deep.

import { type Scenario, scenario } from './scenario.ts'

const fenced = { clientDurable: true, serverDurable: true, nodes: 2, fence: 'kept' } as const
const durable = { clientDurable: true, serverDurable: true } as const

export const scenarios: readonly Scenario[] = [
  // One death of either process: first of the one, then of the other.
  ...(['clientDeaths', 'serverDeaths'] as const).flatMap((deaths) => [
    scenario({
      name: deaths === 'clientDeaths' ? 'upClientDies' : 'upServerDies',
      about: 'two messages to the server, two cuts, one death',
      ...durable,
      budget: { sends: 2, cuts: 2, [deaths]: 1 },
    }),
    scenario({
      name: deaths === 'clientDeaths' ? 'downClientDies' : 'downServerDies',
      about: 'two messages to the client, two cuts, one death',
      ...durable,
      budget: { pushes: 2, cuts: 2, [deaths]: 1 },
    }),
    scenario({
      name: deaths === 'clientDeaths' ? 'bothClientDies' : 'bothServerDies',
      about: 'one message each way, one cut, one death',
      ...durable,
      budget: { sends: 1, pushes: 1, cuts: 1, [deaths]: 1 },
    }),
  ]),
  scenario({
    name: 'both',
    about: 'one message each way, two cuts',
    ...durable,
    budget: { sends: 1, pushes: 1, cuts: 2 },
  }),
  scenario({
    name: 'memory',
    about: 'in memory only: two messages to the server, one back, two cuts',
    budget: { sends: 2, pushes: 1, cuts: 2 },
  }),
  scenario({
    name: 'memoryDies',
    about: 'in memory only: one message each way, one cut, one death of either process',
    budget: { sends: 1, pushes: 1, cuts: 1, deaths: 1 },
    mayLose: ['gone'],
  }),
  scenario({
    name: 'window',
    about: 'a window of one: what waits behind it, and which of it gives way',
    maxMessages: 1,
    maxQueueMessages: 1,
    budget: { sends: 3, cuts: 1 },
  }),
  scenario({
    name: 'expiryReported',
    about: 'a session expires or is ended by the server: what is in doubt is reported',
    ...durable,
    budget: { sends: 2, cuts: 1, expiries: 1, ends: 1 },
    mayLose: ['gone'],
  }),
  scenario({
    name: 'expiryResent',
    about: 'a session expires twice: what is in doubt is sent first in the next one, in order',
    onSessionLost: 'resend',
    maxMessages: 1,
    budget: { sends: 2, cuts: 2, expiries: 2 },
    mayLose: ['gone'],
  }),
  scenario({
    name: 'expiryResentDies',
    about: 'a session expires and its client dies: what is in doubt is sent again',
    ...durable,
    onSessionLost: 'resend',
    budget: { sends: 2, cuts: 1, expiries: 1, clientDeaths: 1 },
    mayLose: ['gone'],
  }),
  scenario({
    name: 'newSession',
    about: 'handlers of a session that is over settle while the next one has messages under the same numbers',
    budget: { sends: 1, pushes: 2, ends: 1, cuts: 1 },
    mayLose: ['gone'],
  }),
  scenario({
    name: 'lookUp',
    about:
      'a server that starts again looks each session up when it is asked for, whatever else happens meanwhile',
    ...durable,
    lookUp: true,
    budget: { sends: 1, pushes: 1, cuts: 1, serverDeaths: 1 },
  }),
  scenario({
    name: 'lookUpOfEnded',
    about: 'sessions that end while they are looked up',
    ...durable,
    lookUp: true,
    budget: { sends: 1, cuts: 2, expiries: 1, serverDeaths: 1 },
    mayLose: ['gone'],
  }),
  scenario({
    name: 'authentication',
    about: 'a token in the first frame, checked while other things happen; it may be refused once',
    asks: true,
    budget: { sends: 1, pushes: 1, cuts: 2, refusals: 1 },
  }),
  scenario({
    name: 'refused',
    about: 'a token refused twice stops the client, which keeps what it holds, and goes on with a better one',
    asks: true,
    budget: { sends: 2, cuts: 1, refusals: 2, returns: 1 },
    mayLose: ['gone'],
    mayStop: ['notAuthenticated'],
  }),
  scenario({
    name: 'stranger',
    about: 'somebody knows the name of a session, but not its key, or is somebody else',
    budget: { sends: 1, pushes: 1, cuts: 1, strangers: 1 },
  }),
  scenario({
    name: 'voidUp',
    about: 'a message to the server that nobody carries, behind one and before another',
    ...durable,
    tooLarge: [2],
    budget: { sends: 3, cuts: 1, clientDeaths: 1 },
  }),
  scenario({
    name: 'voidDown',
    about: 'a message to the client that it does not take',
    ...durable,
    tooLargeDown: [1],
    budget: { sends: 1, pushes: 2, cuts: 1 },
  }),
  scenario({
    name: 'goAway',
    about: 'a server asks its client to leave, twice, while messages go both ways',
    budget: { sends: 1, pushes: 1, cuts: 1, goAways: 2 },
  }),
  scenario({
    name: 'close',
    about: 'the app closes the client, or disposes of it, in mid-flight',
    ...durable,
    budget: { sends: 2, pushes: 1, cuts: 1, closes: 1, disposals: 1 },
    mayLose: ['stopped', 'gone'],
    mayStop: ['closed', 'disposed'],
  }),
  scenario({
    name: 'closeDies',
    about: 'either process dies around a close',
    ...durable,
    budget: { sends: 1, pushes: 1, closes: 1, deaths: 1 },
    mayLose: ['stopped', 'gone'],
    mayStop: ['closed'],
  }),
  scenario({
    name: 'age',
    about: 'messages without a number grow too old, or are taken back',
    ...durable,
    maxMessages: 1,
    expiring: [2],
    budget: { sends: 3, cuts: 1, ttls: 1, cancels: 1 },
  }),
  scenario({
    name: 'giveUp',
    about: 'handlers that take too long count as settled',
    ...durable,
    budget: { sends: 2, cuts: 1, giveUps: 1, serverDeaths: 1 },
  }),
  scenario({
    name: 'throwing',
    about: 'handlers that throw, on either side: reported, and settled all the same',
    ...durable,
    throwing: ['c1', 's1'],
    budget: { sends: 2, pushes: 1, cuts: 1 },
  }),
  scenario({
    name: 'disposed',
    about: 'a client with a durable outbox is disposed of, and another process goes on with it',
    ...durable,
    budget: { sends: 1, pushes: 1, disposals: 1, clientDeaths: 1 },
    mayLose: ['gone'],
    mayStop: ['disposed'],
  }),
  scenario({
    name: 'expiryOfDropped',
    about: 'what gives way, is taken back or grows too old is not brought back by a death',
    ...durable,
    maxMessages: 1,
    maxQueueMessages: 1,
    expiring: [2],
    budget: { sends: 3, clientDeaths: 1, ttls: 1 },
  }),
  scenario({
    name: 'lateFirst',
    about: 'a connection that says nothing in time is closed',
    ...durable,
    budget: { sends: 1, cuts: 1, lateFirsts: 2 },
  }),
  scenario({
    name: 'storeFails',
    about: 'the store of the client fails: it goes on in memory, in a new session',
    ...durable,
    budget: { sends: 1, pushes: 1, cuts: 1, storeFailures: 1 },
    mayLose: ['storage'],
  }),
  scenario({
    name: 'heartbeat',
    about: 'either side asks for a sign of life, and drops the connection when none comes in time',
    budget: { sends: 1, pushes: 1, cuts: 2, pings: 2 },
  }),
  scenario({
    name: 'twoClients',
    about: 'two owners: the second finds the outbox locked and has a session of its own',
    clients: 2,
    budget: { sends: 1, sends2: 1, cuts: 1 },
  }),
  scenario({
    name: 'copy',
    about: 'two owners: a second process goes on with a copy of the outbox; one of them ends in 4409',
    ...durable,
    budget: { sends: 1, pushes: 1, cuts: 1, copies: 1 },
    mayLose: ['memory', 'gone'],
    mayStop: ['takenOver'],
  }),
  scenario({
    name: 'nodes',
    about: 'two servers share a store; the client comes to either, and its ghosts to the other',
    ...durable,
    nodes: 2,
    budget: { sends: 1, cuts: 2 },
  }),
  scenario({
    name: 'nodesBoth',
    about: 'two servers share a store; messages go both ways',
    ...durable,
    nodes: 2,
    budget: { sends: 1, pushes: 1, cuts: 1 },
  }),
  scenario({
    name: 'leaseUp',
    about:
      'a node that stands still loses its lease, and the other takes its session: two messages to the server',
    ...fenced,
    budget: { sends: 2, cuts: 1, lapses: 1 },
  }),
  scenario({
    name: 'leaseDown',
    about: 'the same with messages to the client',
    ...fenced,
    budget: { pushes: 2, lapses: 1 },
  }),
  scenario({
    name: 'leaseTwice',
    about: 'the same twice: each node in its turn, or one of them again',
    ...fenced,
    budget: { sends: 1, cuts: 1, lapses: 2 },
  }),
  scenario({
    name: 'leaseDies',
    about: 'a node stands still, and either dies',
    ...fenced,
    budget: { sends: 1, lapses: 1, serverDeaths: 1 },
  }),
]

/** Worlds that are broken on purpose: exploring has to find it. */
export const brokenScenarios: readonly Scenario[] = [
  scenario({
    name: 'leaseUnfenced',
    about: 'a node that stands still loses its lease, and the store takes its writes all the same',
    ...fenced,
    fence: 'broken',
    budget: { sends: 2, cuts: 1, lapses: 1 },
  }),
]

/** Asked for with --deep: hours, and much memory. */
export const deepScenarios: readonly Scenario[] = (['clientDeaths', 'serverDeaths'] as const).map((deaths) =>
  scenario({
    name: deaths === 'clientDeaths' ? 'deepClientDies' : 'deepServerDies',
    about: 'two messages each way, two cuts, one death',
    ...durable,
    budget: { sends: 2, pushes: 2, cuts: 2, [deaths]: 1 },
  }),
)
