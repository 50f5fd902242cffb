// Scale: whether the cost of one stays the same when there are many. Connections, endpoints of a limiter, messages in a queue; and a
// whole day of them.

import { type Child, start } from '../harness/child.ts'
import { median, seededRandom, shuffled } from '../harness/statistics.ts'
import type { Day } from '../workers/day.ts'
import type { ItemCost } from '../workers/scaleItems.ts'
import { type ConnectionCost, type Item, items, type ScaleData } from './scaleData.ts'
import { tellScale } from './scaleTelling.ts'
import type { Context, Section } from './section.ts'

const EXPOSE_GC = { execArgv: ['--expose-gc'] }
/** What a process needs besides its sockets. */
const OTHER_FILES = 100
/** Fewer idle connections cost less than what the process does anyway varies by. */
const FEWEST_IDLE = 100

async function connections({ quick, log }: Context, data: ScaleData): Promise<void> {
  const client = await start(new URL('../workers/scaleConnections.ts', import.meta.url), EXPOSE_GC)
  const server = await start(new URL('../servers/ws.ts', import.meta.url))
  const origin = `ws://127.0.0.1:${await server.call<number>('listen')}`
  // The server's end has the same limit, and as many sockets.
  const most = (await client.call<number>('limit')) - OTHER_FILES
  const ms = quick ? 5000 : 15_000
  const repeats = quick ? 1 : 3
  const weigh = () => client.call<{ heap: number; rss: number }>('weigh')
  const repeated = async (measure: () => Promise<number>) => {
    const samples: number[] = []
    for (let time = 0; time < repeats; time += 1) samples.push(await measure())
    return median(samples)
  }
  await client.call('open', { origin, count: 50 })
  await client.call('traffic', { ms: 2000 })
  await client.call('close')
  const before = await weigh()
  const bareUs = await repeated(() => client.call<number>('idle', { ms }))
  for (const count of [1, 10, 100, 1000, ...(quick ? [] : [10_000])]) {
    if (count > most) {
      data.tooMany.push(count)
      continue
    }
    log(`${count} connections`)
    await client.call('open', { origin, count })
    const { heap, rss } = await weigh()
    const idleUs = await repeated(() => client.call<number>('idle', { ms }))
    const cost: ConnectionCost = {
      count,
      heap: (heap - before.heap) / count,
      rss,
      idleUs: count < FEWEST_IDLE ? null : (idleUs - bareUs) / count / (ms / 1000),
      messageUs: await repeated(() => client.call<number>('traffic', { ms: quick ? 3000 : 5000 })),
    }
    data.connections.push(cost)
  }
  await client.stop()
  await server.stop()
}

/** Every kind has a process of its own; all take turns at every size, so that what else the machine does meets them alike. */
async function itemCosts({ quick, seed, log }: Context, data: ScaleData): Promise<void> {
  const random = seededRandom(seed)
  const kinds = Object.keys(items) as Item[]
  const sizes = [1, 10, 100, 1000, 10_000, 100_000]
  const rounds = quick ? 3 : 9
  const children = new Map<Item, Child>()
  const samples = new Map<string, ItemCost[]>()
  for (const item of kinds) {
    children.set(item, await start(new URL('../workers/scaleItems.ts', import.meta.url), EXPOSE_GC))
  }
  // The first round warms up.
  for (let round = 0; round <= rounds; round += 1) {
    log(`endpoints and messages, round ${round} of ${rounds}`)
    for (const count of shuffled(sizes, random)) {
      for (const item of shuffled(kinds, random)) {
        const cost = await (children.get(item) as Child).call<ItemCost>(item, { count })
        if (round > 0) samples.set(`${item} ${count}`, [...(samples.get(`${item} ${count}`) ?? []), cost])
      }
    }
  }
  for (const item of kinds) {
    data.items[item] = sizes.map((count) => {
      const costs = samples.get(`${item} ${count}`) ?? []
      const of = (what: keyof ItemCost) => median(costs.map((cost) => cost[what]))
      return { count, ns: of('ns'), allocated: of('allocated'), held: of('held') }
    })
    await children.get(item)?.stop()
  }
}

async function day(session: boolean, { quick, seed, log }: Context): Promise<Day> {
  const messages = quick ? 96_000 : 1_000_000
  log(`a day, ${session ? 'in a session' : 'plain'}: ${messages} messages`)
  const child = await start(new URL('../workers/day.ts', import.meta.url), EXPOSE_GC)
  const lived = await child.call<Day>('live', { session, messages, seed })
  await child.stop()
  return lived
}

async function measure(context: Context): Promise<ScaleData> {
  const data = { connections: [], tooMany: [], items: {}, days: {} } as unknown as ScaleData
  await connections(context, data)
  await itemCosts(context, data)
  data.days = { plain: await day(false, context), session: await day(true, context) }
  return data
}

export const scale: Section<ScaleData> = { name: 'scale', title: 'Scale', measure, tell: tellScale }
