// HTTP: what a call costs, against raw `undici.request` and against global `fetch`.

import { HTTP_REFERENCE, httpContestants } from '../contestants/http/registry.ts'
import { type Child, start } from '../harness/child.ts'
import { reason } from '../harness/reason.ts'
import { Collector, type Contest, takeTurns } from '../harness/rounds.ts'
import { median } from '../harness/statistics.ts'
import { type HttpData, type Workload, workloads } from './httpData.ts'
import { tellHttp } from './httpTelling.ts'
import type { Context, Section } from './section.ts'

async function measure({ quick, only, seed, log }: Context): Promise<HttpData> {
  const ids = Object.keys(httpContestants).filter(
    (id) => only.length === 0 || id === HTTP_REFERENCE || only.includes(id),
  )
  const generations = quick ? 1 : 3
  const rounds = quick ? 3 : 5
  const ms = quick ? 250 : 400
  const collectors = Object.fromEntries(
    Object.keys(workloads).map((name) => [name, new Collector()]),
  ) as Record<Workload, Collector>
  const allocations = new Map<string, { bytes: number; gcUs: number }[]>()
  let callsMade = 0
  let requestsServed = 0

  // A new generation has new processes: what the compiler and the heap's layout happened to do is drawn anew.
  for (let generation = 0; generation < generations; generation += 1) {
    const servers = new Map<string, Child>()
    const origins: Record<string, string> = {}
    for (const name of new Set(Object.values(workloads).map(({ server }) => server))) {
      const server = await start(new URL(`../servers/${name}.ts`, import.meta.url))
      servers.set(name, server)
      origins[name] = `http://127.0.0.1:${await server.call<number>('listen')}`
    }
    const children = new Map<string, Child>()
    for (const id of ids) {
      const child = await start(new URL('../workers/http.ts', import.meta.url))
      children.set(id, child)
      try {
        await child.call('setup', { id, origins })
        for (const { task, concurrency, server } of Object.values(workloads)) {
          const warmUp = quick ? { calls: 8_000, maxMs: 1500 } : { calls: 25_000, maxMs: 4000 }
          // One at a time runs the same code as fifty.
          if (concurrency > 1) await child.call('warmUp', { task, server, concurrency, ...warmUp })
        }
      } catch (error) {
        for (const collector of Object.values(collectors)) collector.failures[id] = reason(error)
      }
    }
    for (const [name, { task, concurrency, server, title }] of Object.entries(workloads)) {
      log(`generation ${generation + 1} of ${generations}: ${title}`)
      const slice = (id: string) =>
        (children.get(id) as Child).call<Record<string, number>>('slice', { task, server, concurrency, ms })
      await takeTurns(HTTP_REFERENCE, ids, rounds, seed + generation, slice, collectors[name as Workload])
    }
    for (const id of ids) {
      if (collectors.get50.failures[id]) continue
      const child = children.get(id) as Child
      const used = await child.call<{ bytes: number; gcUs: number }>('allocation', {
        task: 'get',
        server: 'http',
        concurrency: 50,
        ms,
      })
      allocations.set(id, [...(allocations.get(id) ?? []), used])
    }
    for (const child of children.values()) {
      callsMade += await child.call<number>('made')
      await child.stop()
    }
    for (const server of servers.values()) {
      requestsServed += (await server.call<{ requests: number }>('counts')).requests
      await server.stop()
    }
  }

  return {
    contests: Object.fromEntries(
      Object.entries(collectors).map(([name, collector]) => [name, collector.result()]),
    ) as Record<Workload, Contest>,
    allocation: Object.fromEntries(
      [...allocations].map(([id, list]) => [
        id,
        { bytes: median(list.map(({ bytes }) => bytes)), gcUs: median(list.map(({ gcUs }) => gcUs)) },
      ]),
    ),
    callsMade,
    requestsServed,
  }
}

export const http: Section<HttpData> = { name: 'http', title: 'HTTP', measure, tell: tellHttp }
