// The server's side: what an echo, a message to all and a connection cost the process that serves thousands. Only the CPU of the
// server counts; the clients, in another process, are the same by hand for all.

import { type Child, start } from '../harness/child.ts'
import { Collector, type Contest, takeTurns } from '../harness/rounds.ts'
import { median } from '../harness/statistics.ts'
import { bytes, figure, spread, table } from '../report/markdown.ts'
import type { Context, Gate, Section, Telling } from './section.ts'

export interface ServerData {
  connections: number[]
  /** By the number of connections. */
  echo: Record<string, Contest>
  broadcast: Record<string, Contest>
  /** Memory of the process per connection, at the largest number of them. */
  memory: Record<string, number[]>
}

const REFERENCE = 'ws'
const NAMES: Record<string, string> = {
  ws: 'ws',
  guru: '**guru-comms SessionServer**',
  'socket.io': 'socket.io',
  signalr: "SignalR's JSON protocol on ws",
}
const ECHO_BYTES = 100
const BROADCAST_BYTES = 1024

interface Pair {
  server: Child
  clients: Child
}

async function pair(kind: string): Promise<Pair & { port: number }> {
  const server = await start(new URL('../servers/realtime.ts', import.meta.url), {
    execArgv: ['--expose-gc'],
  })
  const port = await server.call<number>('listen', { kind })
  return { server, port, clients: await start(new URL('../workers/realtimeClients.ts', import.meta.url)) }
}

async function cost(
  server: Child,
  work: () => Promise<number>,
): Promise<{ cpuUs: number; perSecond: number }> {
  const before = await server.call<number>('cpu')
  const since = performance.now()
  const count = await work()
  const wallMs = performance.now() - since
  return { cpuUs: ((await server.call<number>('cpu')) - before) / count, perSecond: (count / wallMs) * 1000 }
}

const echoes = ({ server, clients }: Pair, rounds: number) =>
  cost(server, () => clients.call<number>('echo', { rounds, bytes: ECHO_BYTES }))

const broadcasts = ({ server, clients }: Pair, count: number, times: number) =>
  cost(server, async () => {
    const all = clients.call('await', { times })
    await server.call('broadcast', { bytes: BROADCAST_BYTES, times })
    await all
    return times * count
  })

async function measure({ quick, only, seed, log }: Context): Promise<ServerData> {
  const ids = Object.keys(NAMES).filter((id) => only.length === 0 || id === REFERENCE || only.includes(id))
  const connections = quick ? [1000] : [1000, 5000]
  const data: ServerData = { connections, echo: {}, broadcast: {}, memory: {} }
  for (const count of connections) {
    const echo = new Collector()
    const broadcast = new Collector()
    for (let generation = 0; generation < (quick ? 1 : 3); generation += 1) {
      log(`${count} connections, generation ${generation + 1}`)
      const pairs = new Map<string, Pair>()
      for (const id of ids) {
        const made = await pair(id)
        const before = await made.server.call<number>('weigh')
        await made.clients.call('openMany', { port: made.port, kind: id, count })
        const weight = ((await made.server.call<number>('weigh')) - before) / count
        if (count === connections.at(-1)) data.memory[id] = [...(data.memory[id] ?? []), weight]
        pairs.set(id, made)
        // So much that the compiler is done.
        await echoes(made, Math.ceil(60_000 / count))
        await broadcasts(made, count, Math.ceil(60_000 / count))
      }
      const of = (id: string) => pairs.get(id) as Pair
      const rounds = quick ? 6 : 8
      const per = Math.ceil(15_000 / count)
      await takeTurns(REFERENCE, ids, rounds, seed + generation, (id) => echoes(of(id), per), echo)
      await takeTurns(
        REFERENCE,
        ids,
        rounds,
        seed + generation,
        (id) => broadcasts(of(id), count, per),
        broadcast,
      )
      for (const { server, clients } of pairs.values()) {
        await clients.stop()
        await server.stop()
      }
    }
    data.echo[count] = echo.result()
    data.broadcast[count] = broadcast.result()
  }
  return data
}

function gates({ connections, echo, broadcast, memory }: ServerData): Gate[] {
  const ratio = (contest: Contest | undefined) => contest?.ratios.guru?.cpuUs?.median ?? Number.NaN
  const limits = { echo: { must: 1.3, aim: 1.1 }, broadcast: { must: 1.2, aim: 1 } }
  return [
    ...connections.flatMap((count): Gate[] => [
      {
        figure: `server, ${count.toLocaleString('en')} sessions: CPU per echo of 100 B against raw ws`,
        bound: 'max',
        ...limits.echo,
        measured: ratio(echo[count]),
        unit: 'x',
      },
      {
        figure: `server, ${count.toLocaleString('en')} sessions: CPU per message of 1 KB to all against raw ws`,
        bound: 'max',
        ...limits.broadcast,
        measured: ratio(broadcast[count]),
        unit: 'x',
      },
    ]),
    {
      figure: 'server: memory of the process per connected session',
      bound: 'max',
      must: 28,
      aim: 24,
      measured: median(memory.guru ?? []) / 1024,
      unit: 'KB',
    },
  ]
}

function tell(data: ServerData): Telling {
  const { connections, echo, broadcast, memory } = data
  const rows = (contest: Contest) =>
    Object.keys(contest.figures)
      .toSorted((a, b) => (contest.figures[a]?.cpuUs?.median ?? 0) - (contest.figures[b]?.cpuUs?.median ?? 0))
      .map((id) => {
        const { cpuUs, perSecond } = contest.figures[id] ?? {}
        const ratios = contest.ratios[id]?.cpuUs
        return [
          NAMES[id] ?? id,
          `${figure(cpuUs?.median ?? Number.NaN)} µs`,
          ratios ? spread(ratios) : '-',
          figure(perSecond?.median ?? Number.NaN),
        ]
      })
  const parts = [
    'Each server is a process of its own with an HTTP server before it, as its documentation has it, and hands its application parsed objects. The clients, in another process, are raw sockets that speak each protocol by hand. CPU is that of the server: all threads, garbage collection included. What stands beside "SignalR" is a few lines on `ws` that speak its JSON protocol, since its own server does not run in Node: less than it could cost.',
    ...connections.flatMap((count) =>
      (
        [
          [`Echo of 100 B, ${count.toLocaleString('en')} connections`, echo[count]],
          [`1 KB to all of ${count.toLocaleString('en')} connections`, broadcast[count]],
        ] as const
      ).flatMap(([title, contest]) =>
        contest
          ? [
              `### ${title}`,
              table(['server', 'CPU per message', 'CPU, ratio', 'messages/s'], rows(contest)),
              ...Object.entries(contest.failures).map(([id, why]) => `${NAMES[id]}: ${why}`),
            ]
          : [],
      ),
    ),
    `### Memory of the process per connection, ${connections.at(-1)?.toLocaleString('en')} of them`,
    table(
      ['server', 'per connection'],
      Object.entries(memory).map(([id, weights]) => [NAMES[id] ?? id, bytes(median(weights))]),
    ),
  ]
  return { markdown: parts.join('\n\n'), charts: {}, gates: gates(data) }
}

export const server: Section<ServerData> = { name: 'server', title: "The server's side", measure, tell }
