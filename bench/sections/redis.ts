// Redis: what a limit that a fleet shares costs, next to one that each process has for itself.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { setTimeout as rest } from 'node:timers/promises'
import { type Child, start } from '../harness/child.ts'
import { reason } from '../harness/reason.ts'
import { median } from '../harness/statistics.ts'
import { table } from '../report/markdown.ts'
import type { Context, Gate, Section, Telling } from './section.ts'

const PROCESSES = 8
/** So high that hardly a decision is a refusal: refusals are cheaper. */
const HIGH = { rate: 40_000_000, burst: 40_000_000 }

interface Run {
  decisions: number
  allowed: number
  ms: number
  roundTrips: number
}

/** All processes together. */
interface Figures {
  /** Decisions per second. */
  perSecond: number
  allowed: number
  roundTrips: number
}

export interface RedisData {
  server?: string
  failure?: string
  local: Figures[]
  shared: Figures[]
  /** A fleet at its limit: what it was let and how often it asked. */
  atLimit: { rate: number; burst: number; seconds: number; allowed: number; roundTrips: number }[]
}

async function startServer(): Promise<{ port: number; version: string; stop(): Promise<void> }> {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const { port } = probe.address() as { port: number }
  await new Promise((resolve) => probe.close(resolve))
  const child = spawn(
    'redis-server',
    ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'],
    {
      stdio: ['ignore', 'pipe', 'ignore'],
    },
  )
  let words = ''
  child.stdout.on('data', (chunk) => {
    words += chunk
  })
  const gone = once(child, 'exit')
  await Promise.race([once(child, 'spawn'), gone])
  for (let tries = 0; tries < 500; tries += 1) {
    const socket = connect(port, '127.0.0.1')
    const isThere = await Promise.race([
      once(socket, 'connect').then(() => true),
      once(socket, 'error').then(() => false),
    ]).catch(() => false)
    socket.destroy()
    if (isThere) break
    await rest(10)
  }
  return {
    port,
    version: /version=([\d.]+)/.exec(words)?.[1] ?? '',
    async stop() {
      child.kill('SIGTERM')
      await gone
    },
  }
}

function sum(runs: readonly Run[]): Figures {
  const total = (pick: (run: Run) => number) => runs.reduce((all, run) => all + pick(run), 0)
  return {
    perSecond: total(({ decisions, ms }) => (decisions / ms) * 1000),
    allowed: total(({ allowed }) => allowed),
    roundTrips: total(({ roundTrips }) => roundTrips),
  }
}

async function measure({ quick, log }: Context): Promise<RedisData> {
  const data: RedisData = { local: [], shared: [], atLimit: [] }
  let server: Awaited<ReturnType<typeof startServer>>
  try {
    server = await startServer()
  } catch (error) {
    return { ...data, failure: reason(error) }
  }
  data.server = server.version
  const children: Child[] = []
  for (let left = PROCESSES; left > 0; left -= 1)
    children.push(await start(new URL('../workers/redisLimits.ts', import.meta.url)))
  const all = <T>(method: string, args: Record<string, unknown> = {}) =>
    Promise.all(children.map((child) => child.call<T>(method, args)))
  try {
    const ms = quick ? 1500 : 5000
    // The two take turns: a machine that slows down slows down both.
    for (let round = 0; round < (quick ? 2 : 5); round += 1) {
      for (const kind of ['local', 'shared'] as const) {
        await all('setup', { kind, port: server.port, ...HIGH })
        await rest(1200)
        await all('run', { ms: 500 })
        data[kind].push(sum(await all<Run>('run', { ms })))
      }
      log(
        `round ${round + 1}: ${Math.round((ratio(data.shared.at(-1), data.local.at(-1)) || 0) * 100)} % of the local limiter's decisions`,
      )
    }
    for (const [rate, burst] of [
      [100, 24],
      [100, 100],
      [1000, 1000],
      [10_000, 10_000],
    ] as const) {
      const seconds = quick ? 3 : 10
      await all('setup', { kind: 'shared', port: server.port, rate, burst })
      await rest(2500)
      const runs = await all<{ allowed: number; roundTrips: number }>('poll', {
        ms: seconds * 1000,
        everyMs: 5,
      })
      const allowed = runs.reduce((total, run) => total + run.allowed, 0)
      const roundTrips = runs.reduce((total, run) => total + run.roundTrips, 0)
      data.atLimit.push({ rate, burst, seconds, allowed, roundTrips })
    }
    await all('end')
  } finally {
    await Promise.all(children.map((child) => child.stop()))
    await server.stop()
  }
  return data
}

function ratio(one: Figures | undefined, other: Figures | undefined): number {
  return (one?.perSecond ?? Number.NaN) / (other?.perSecond ?? Number.NaN)
}

function tell(data: RedisData): Telling {
  if (data.failure !== undefined)
    return { markdown: `Not measured: no redis-server (${data.failure}).`, charts: {}, gates: [] }
  const ratios = data.shared.map((figures, round) => ratio(figures, data.local[round]))
  const perSecond = (figures: readonly Figures[]) => median(figures.map((each) => each.perSecond))
  const trips = data.shared.reduce((total, { roundTrips }) => total + roundTrips, 0)
  const calls = data.shared.reduce((total, { allowed }) => total + allowed, 0)
  // A burst of a few calls a process cannot be lent in tens.
  const roomy = data.atLimit.filter(({ burst }) => burst >= 10 * PROCESSES)
  const busiest = Math.max(...roomy.map(({ allowed, roundTrips }) => (10 * roundTrips) / allowed))
  const markdown = [
    `${PROCESSES} processes ask a limiter as often as they can, batch by batch: each its own \`RateLimiter\`, or all of them one \`SharedRateLimiter\` ` +
      `on Redis ${data.server}, with a limit so high that hardly anything is refused. The two take turns.`,
    table(
      ['limiter', 'decisions a second, all processes', 'round trips per 10 calls'],
      [
        ['each its own', `${(perSecond(data.local) / 1e6).toFixed(1)} million`, '0'],
        [
          '**shared**',
          `${(perSecond(data.shared) / 1e6).toFixed(1)} million`,
          ((10 * trips) / calls).toPrecision(2),
        ],
      ],
    ),
    'At its limit a fleet asks as often as its burst, divided by the processes, lets it:',
    table(
      ['limit', 'calls let through', 'of the quota', 'round trips per 10 calls'],
      data.atLimit.map(({ rate, burst, seconds, allowed, roundTrips }) => [
        `${rate}/s, burst ${burst}`,
        String(allowed),
        `${((100 * allowed) / (burst + rate * seconds)).toFixed(1)} %`,
        ((10 * roundTrips) / allowed).toPrecision(2),
      ]),
    ),
  ].join('\n\n')
  const gates: Gate[] = [
    {
      figure: "shared limiter's decisions a second, of the local one's",
      bound: 'min',
      must: 60,
      aim: 80,
      measured: 100 * median(ratios),
      unit: '%',
    },
    {
      figure: 'shared limiter: engine round trips per 10 calls, with a burst of 10 and more a process',
      bound: 'max',
      must: 1,
      aim: 0.9,
      measured: busiest,
      unit: '',
    },
  ]
  return { markdown, charts: {}, gates }
}

export const redis: Section<RedisData> = { name: 'redis', title: 'Redis', measure, tell }
