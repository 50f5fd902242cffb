// What is explored. Together they take minutes on a small machine; what takes longer is asked for with --deep.

import { type Scenario, scenario } from './scenario.ts'

const durable = { clientDurable: true, serverDurable: true } as const

export const scenarios: readonly Scenario[] = [
  scenario({
    name: 'up',
    about: 'two messages to the server, two cuts, one death of either process',
    ...durable,
    budget: { sends: 2, cuts: 2, deaths: 1 },
  }),
  scenario({
    name: 'down',
    about: 'two messages to the client, two cuts, one death of either process',
    ...durable,
    budget: { pushes: 2, cuts: 2, deaths: 1 },
  }),
  scenario({
    name: 'both',
    about: 'one message each way, two cuts',
    ...durable,
    budget: { sends: 1, pushes: 1, cuts: 2 },
  }),
  scenario({
    name: 'bothDie',
    about: 'one message each way, one cut, one death of either process',
    ...durable,
    budget: { sends: 1, pushes: 1, cuts: 1, deaths: 1 },
  }),
  scenario({
    name: 'memory',
    about: 'in memory only: two messages to the server, two cuts',
    budget: { sends: 2, cuts: 2 },
  }),
]
