// Reconnecting: how soon a client is back after its server is, how soon it notices that a server has frozen, and what a fleet
// does to a server that starts again. Every library with its defaults.

import { wsContestants } from '../contestants/ws/registry.ts'
import { type Child, start } from '../harness/child.ts'
import { reason } from '../harness/reason.ts'
import { seededRandom, shuffled } from '../harness/statistics.ts'
import type { Talk } from '../workers/reconnect.ts'
import { type ReconnectData, type Restart, talks, type Waits } from './reconnectData.ts'
import { tellReconnect } from './reconnectTelling.ts'
import type { Context, Section } from './section.ts'

/** All libraries consider a connection good after less. */
const STABLE_MS = 6000
/** Who is not back by then is told as missing. */
const PATIENCE_MS = 60_000
const FLEET = 500
const FLEET_PROCESSES = 4
/** A restart of the server of a fleet takes so long. */
const RESTART_MS = 1000

const worker = () => start(new URL('../workers/reconnect.ts', import.meta.url))
const serverProcess = () => start(new URL('../servers/ws.ts', import.meta.url))
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))
const originOf = (port: number) => `ws://127.0.0.1:${port}`

interface Arrivals {
  listeningSince: number
  upgrades: number[]
  requests: number[]
}

/** Kills the server and has another process listen in its place when `outageMs` have passed. */
async function restart(server: Child, port: number, outageMs: number): Promise<Child> {
  const [next] = await Promise.all([serverProcess(), sleep(outageMs), kill(server)])
  await next.call('listen', { port })
  return next
}

function kill(server: Child): Promise<void> {
  server.signal('SIGKILL')
  return server.stop()
}

/** Asks again and again, until nobody is missing or patience ends. */
async function waitForAll(
  ask: () => Promise<(number | null)[]>,
  since: number,
  patienceMs: number,
): Promise<Waits> {
  for (;;) {
    const moments = await ask()
    const waits = moments.filter((at) => at !== null).map((at) => Math.max(0, at - since))
    const missing = moments.length - waits.length
    if (missing === 0 || Date.now() - since > patienceMs) {
      return { missing, waits: waits.toSorted((a, b) => a - b) }
    }
    await sleep(200)
  }
}

function join(one: Waits | undefined, other: Waits): Waits {
  if (!one) return other
  const waits = [...one.waits, ...other.waits].toSorted((a, b) => a - b)
  return { missing: one.missing + other.missing, waits }
}

/** One process a contestant; those that cannot begin are named in `failures`. */
async function setUp(
  ids: readonly string[],
  data: ReconnectData,
  prepare: (id: string, child: Child) => Promise<unknown>,
): Promise<Map<string, Child>> {
  const children = new Map<string, Child>()
  await Promise.all(
    ids.map(async (id) => {
      const child = await worker()
      try {
        await prepare(id, child)
        children.set(id, child)
      } catch (error) {
        data.failures[id] = reason(error)
        await child.stop()
      }
    }),
  )
  return children
}

/** All contestants lose the same server at the same time: they are apart, and hardly do anything but wait. */
async function outages(ids: readonly string[], data: ReconnectData, { quick, log }: Context): Promise<void> {
  const trials: [seconds: number, times: number][] = quick
    ? [
        [1, 2],
        [5, 2],
      ]
    : [
        [1, 5],
        [5, 5],
        [20, 4],
      ]
  let server = await serverProcess()
  const port = await server.call<number>('listen')
  const group = 'all'
  const children = await setUp(ids, data, (id, child) =>
    child.call('setup', {
      id,
      group,
      origin: originOf(port),
      count: data.clients,
      spreadMs: 1000,
      talk: 'silent',
    }),
  )
  for (const [seconds, times] of trials) {
    for (let time = 1; time <= times; time += 1) {
      log(`an outage of ${seconds} s, ${time} of ${times}`)
      // Not in step with anybody's heartbeat.
      await sleep(STABLE_MS + Math.random() * 3000)
      server = await restart(server, port, seconds * 1000)
      const { listeningSince: since } = await server.call<Arrivals>('arrivals')
      await Promise.all(
        [...children].map(async ([id, child]) => {
          const ask = () => child.call<(number | null)[]>('opens', { group, since })
          const waits = await waitForAll(ask, since, PATIENCE_MS)
          data.outages[id] = { ...data.outages[id], [seconds]: join(data.outages[id]?.[seconds], waits) }
        }),
      )
    }
  }
  await Promise.all([...children.values(), server].map((child) => child.stop()))
}

/** Every talk has a server of its own; all are stopped at once (SIGSTOP): they keep their sockets and say nothing any more. */
async function frozen(ids: readonly string[], data: ReconnectData, { quick, log }: Context): Promise<void> {
  const groups = Object.keys(talks) as Talk[]
  const servers = new Map<Talk, { child: Child; port: number }>()
  for (const group of groups) {
    const child = await serverProcess()
    servers.set(group, { child, port: await child.call<number>('listen') })
  }
  const children = await setUp(ids, data, (id, child) =>
    Promise.all(
      groups.map((group) =>
        child.call('setup', {
          id,
          group,
          origin: originOf(servers.get(group)?.port ?? 0),
          count: quick ? 5 : 20,
          // As long as the longest heartbeat, so that all phases of it occur.
          spreadMs: quick ? 3000 : 30_000,
          talk: group,
        }),
      ),
    ),
  )
  await sleep(3000)
  log('a frozen server')
  const since = Date.now()
  for (const { child } of servers.values()) child.signal('SIGSTOP')
  await Promise.all(
    [...children].map(async ([id, child]) => {
      const known = {} as Record<Talk, Waits>
      for (const group of groups) {
        const ask = () => child.call<(number | null)[]>('closes', { group, since })
        known[group] = await waitForAll(ask, since, data.frozenForMs)
      }
      data.frozen[id] = known
    }),
  )
  await Promise.all([...children.values()].map((child) => child.stop()))
  await Promise.all([...servers.values()].map(({ child }) => kill(child)))
}

/** What came in within the busiest 100 ms. */
function busiest(moments: readonly number[]): number {
  const sorted = moments.toSorted((a, b) => a - b)
  let most = 0
  for (let first = 0, last = 0; last < sorted.length; last += 1) {
    while ((sorted[last] as number) - (sorted[first] as number) >= 100) first += 1
    most = Math.max(most, last - first + 1)
  }
  return most
}

/** One contestant alone on the machine. */
async function fleet(id: string, times: number): Promise<Restart[]> {
  const restarts: Restart[] = []
  let server = await serverProcess()
  const port = await server.call<number>('listen')
  const children = await Promise.all(Array.from({ length: FLEET_PROCESSES }, worker))
  const group = 'fleet'
  try {
    await Promise.all(
      children.map((child) =>
        child.call('setup', {
          id,
          group,
          origin: originOf(port),
          count: FLEET / FLEET_PROCESSES,
          spreadMs: 2000,
          talk: 'silent',
        }),
      ),
    )
    for (let time = 0; time < times; time += 1) {
      await sleep(STABLE_MS + Math.random() * 1000)
      server = await restart(server, port, RESTART_MS)
      const { listeningSince: since } = await server.call<Arrivals>('arrivals')
      const ask = async () => {
        const all = await Promise.all(
          children.map((child) => child.call<(number | null)[]>('opens', { group, since })),
        )
        return all.flat()
      }
      const { waits, missing } = await waitForAll(ask, since, PATIENCE_MS)
      const { upgrades, requests } = await server.call<Arrivals>('arrivals')
      restarts.push({
        peak: busiest(upgrades) / FLEET,
        peakOfAll: busiest([...upgrades, ...requests]) / FLEET,
        lastMs: waits.at(-1) ?? Number.NaN,
        missing,
      })
    }
  } finally {
    await Promise.all([...children, server].map((child) => child.stop()))
  }
  return restarts
}

async function measure(context: Context): Promise<ReconnectData> {
  const { quick, only, seed, log } = context
  const ids = Object.entries(wsContestants)
    // A session comes back as its line does.
    .filter(([id, { reconnects }]) => reconnects && id !== 'guru-session')
    .map(([id]) => id)
    .filter((id) => only.length === 0 || only.includes(id))
  const data: ReconnectData = {
    outages: {},
    frozen: {},
    frozenForMs: quick ? 50_000 : PATIENCE_MS,
    fleets: {},
    clients: quick ? 30 : 50,
    failures: {},
  }
  await Promise.all([outages(ids, data, context), frozen(ids, data, context)])
  for (const id of shuffled(ids, seededRandom(seed))) {
    log(`a fleet of ${FLEET}: ${wsContestants[id]?.name}`)
    try {
      data.fleets[id] = await fleet(id, quick ? 1 : 3)
    } catch (error) {
      data.failures[id] = reason(error)
    }
  }
  return data
}

export const reconnect: Section<ReconnectData> = {
  name: 'reconnect',
  title: 'Reconnecting',
  measure,
  tell: tellReconnect,
}
