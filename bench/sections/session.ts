// Sessions: what many of them weigh, what a resume takes, whether a long life leaves anything behind. What a message costs in
// one stands in the section `ws`, beside the plain line.

import { start } from '../harness/child.ts'
import { median } from '../harness/statistics.ts'
import { bytes, figure, table } from '../report/markdown.ts'
import type { Context, Gate, Section, Telling } from './section.ts'

export interface SessionData {
  /** The server's process with so many sessions connected. */
  weights: { sessions: number; heapUsed: number; rss: number }[]
  /** Milliseconds for 1,000 messages of 1 KB until the last is acknowledged. */
  resume: { fresh: number[]; resumed: number[] }
  /** Heap of client and server after each tenth of so many messages. */
  life: { messages: number; client: number[]; server: number[] }
}

const server = () =>
  start(new URL('../workers/sessionServer.ts', import.meta.url), { execArgv: ['--expose-gc'] })
const client = () =>
  start(new URL('../workers/sessionClient.ts', import.meta.url), { execArgv: ['--expose-gc'] })

interface Weight {
  heapUsed: number
  rss: number
  sessions: number
}

async function measure({ quick, log }: Context): Promise<SessionData> {
  const data: SessionData = {
    weights: [],
    resume: { fresh: [], resumed: [] },
    life: { messages: quick ? 100_000 : 1_000_000, client: [], server: [] },
  }
  log('sessions on one server')
  {
    const [one, two] = [await server(), await client()]
    const port = await one.call<number>('listen')
    let had = 0
    for (const count of quick ? [0, 1000, 2000] : [0, 1000, 2500, 5000, 10_000]) {
      await two.call('openMany', { port, count: count - had })
      had = count
      data.weights.push(await one.call<Weight>('weigh'))
    }
    await two.stop()
    await one.stop()
  }
  log('a resume with 1,000 unacknowledged messages')
  {
    const [one, two] = [await server(), await client()]
    const port = await one.call<number>('listen')
    data.resume = await two.call('resume', { port, count: 1000, rounds: quick ? 5 : 25 })
    await two.stop()
    await one.stop()
  }
  log(`${data.life.messages} messages`)
  {
    const [one, two] = [await server(), await client()]
    const port = await one.call<number>('listen')
    const before = await one.call<Weight>('weigh')
    data.life.client = await two.call('live', { port, count: data.life.messages })
    const after = await one.call<Weight>('weigh')
    data.life.server = [before.heapUsed, after.heapUsed]
    await two.stop()
    await one.stop()
  }
  return data
}

/** What the heap grew by from the end of the first tenth to the end. */
const growth = (heaps: readonly number[]) => (heaps.at(-1) ?? Number.NaN) - (heaps[1] ?? Number.NaN)

function gates({ weights, resume, life }: SessionData): Gate[] {
  const last = weights.at(-1)
  const first = weights[0]
  // A quick run has fewer, and tells what 10,000 would weigh.
  const perSession = last && first ? (last.rss - first.rss) / last.sessions : Number.NaN
  const rss = last?.sessions === 10_000 ? last.rss : (first?.rss ?? Number.NaN) + 10_000 * perSession
  return [
    {
      figure: 'a server process with 10,000 sessions: memory of the process',
      bound: 'max',
      must: 250,
      aim: 200,
      measured: rss / 2 ** 20,
      unit: 'MB',
    },
    {
      figure: 'a resume with 1,000 unacknowledged messages, against just sending them',
      bound: 'max',
      must: 1.2,
      aim: 1,
      measured: median(resume.resumed) / median(resume.fresh),
      unit: 'x',
    },
    {
      figure: `heap growth of a client over ${life.messages.toLocaleString('en')} messages in a session`,
      bound: 'max',
      must: 1,
      aim: 0.1,
      measured: growth(life.client) / 2 ** 20,
      unit: 'MB',
    },
  ]
}

function tell(data: SessionData): Telling {
  const { weights, resume, life } = data
  const parts = [
    'A `SessionServer` in a process of its own, all its sessions connected by raw sockets from another; after full collections.',
    table(
      ['sessions', 'heap', 'memory of the process'],
      weights.map(({ sessions, heapUsed, rss }) => [`${sessions}`, bytes(heapUsed), bytes(rss)]),
    ),
    `1,000 messages of 1 KB until the last is acknowledged, through the same proxy: ${figure(median(resume.fresh))} ms on an open line, ` +
      `${figure(median(resume.resumed))} ms from the moment that a resumed session is open (medians of ${resume.fresh.length}).`,
    `Heap of a client after each tenth of ${life.messages.toLocaleString('en')} messages: ${life.client.map((heap) => bytes(heap)).join(', ')}. ` +
      `Of the server, before and after: ${life.server.map((heap) => bytes(heap)).join(', ')}.`,
  ]
  return { markdown: parts.join('\n\n'), charts: {}, gates: gates(data) }
}

export const session: Section<SessionData> = { name: 'session', title: 'Sessions', measure, tell }
