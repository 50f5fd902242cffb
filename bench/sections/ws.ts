// WebSocket: what a message costs, each way, against raw `ws`.

import { WS_REFERENCE, wsContestants } from '../contestants/ws/registry.ts'
import { type Child, start } from '../harness/child.ts'
import { reason } from '../harness/reason.ts'
import { Collector, type Contest, takeTurns } from '../harness/rounds.ts'
import { median } from '../harness/statistics.ts'
import type { Context, Section } from './section.ts'
import { type WsData, type WsTaskName, wsTasks } from './wsData.ts'
import { tellWs } from './wsTelling.ts'

const names = Object.keys(wsTasks) as WsTaskName[]

async function measure({ quick, only, seed, log }: Context): Promise<WsData> {
  const ids = Object.keys(wsContestants).filter(
    (id) => only.length === 0 || id === WS_REFERENCE || only.includes(id),
  )
  const generations = quick ? 1 : 3
  const rounds = quick ? 4 : 6
  const ms = quick ? 250 : 400
  const warmUpMs = quick ? 800 : 2000
  const collectors = Object.fromEntries(names.map((name) => [name, new Collector()])) as Record<
    WsTaskName,
    Collector
  >
  const allocations = new Map<string, Record<WsTaskName, number[]>>()

  for (let generation = 0; generation < generations; generation += 1) {
    const server = await start(new URL('../servers/ws.ts', import.meta.url))
    const origin = `ws://127.0.0.1:${await server.call<number>('listen')}`
    const children = new Map<string, Child>()
    for (const id of ids) {
      const child = await start(new URL('../workers/ws.ts', import.meta.url))
      children.set(id, child)
      try {
        await child.call('setup', { id, origin })
        for (const task of names) await child.call('run', { task, ms: warmUpMs })
      } catch (error) {
        for (const collector of Object.values(collectors)) collector.failures[id] = reason(error)
      }
    }
    for (const task of names) {
      log(`generation ${generation + 1} of ${generations}: ${wsTasks[task]}`)
      const slice = (id: string) =>
        (children.get(id) as Child).call<Record<string, number>>('slice', { task, ms })
      await takeTurns(WS_REFERENCE, ids, rounds, seed + generation, slice, collectors[task])
    }
    for (const id of ids) {
      const child = children.get(id) as Child
      if (!collectors.down.failures[id]) {
        const lists = allocations.get(id) ?? { down: [], echo: [], up: [] }
        for (const task of names) lists[task].push(await child.call<number>('allocation', { task, ms }))
        allocations.set(id, lists)
      }
      await child.stop()
    }
    await server.stop()
  }

  return {
    contests: Object.fromEntries(names.map((name) => [name, collectors[name].result()])) as Record<
      WsTaskName,
      Contest
    >,
    allocation: Object.fromEntries(
      [...allocations].map(([id, lists]) => [
        id,
        { down: median(lists.down), echo: median(lists.echo), up: median(lists.up) },
      ]),
    ),
  }
}

export const ws: Section<WsData> = { name: 'ws', title: 'WebSocket', measure, tell: tellWs }
