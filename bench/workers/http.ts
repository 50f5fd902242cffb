// The process of one HTTP contestant: a closed loop of `concurrency` lanes, each waiting for its answer
// before it asks again.

import type { HttpContestant } from '../contestants/http/contestant.ts'
import { httpContestants } from '../contestants/http/registry.ts'
import { answer } from '../harness/child.ts'
import { meter, meterAllocation } from '../harness/usage.ts'
import { documentOf } from '../servers/payload.ts'

export type HttpTask = 'get' | 'post'

interface Load {
  task: HttpTask
  /** Which of the servers: each has a contestant of its own, as each has an origin. */
  server: string
  concurrency: number
  ms: number
}

const contestants = new Map<string, HttpContestant>()
const document = documentOf(1024)

/** Every call of this process, measured or not: must agree with what the server counted. */
let made = 0

async function lane(call: () => Promise<unknown>, until: number): Promise<number> {
  let done = 0
  while (performance.now() < until) {
    const value = (await call()) as { id?: unknown } | undefined
    if (value?.id !== document.id) throw new Error(`the answer is not the document: ${JSON.stringify(value)}`)
    done += 1
  }
  made += done
  return done
}

async function loop({ task, server, concurrency, ms }: Load): Promise<number> {
  const contestant = contestants.get(server)
  if (!contestant) throw new Error(`not set up for ${server}`)
  const call = task === 'get' ? () => contestant.get() : () => contestant.post(document)
  const until = performance.now() + ms
  const lanes = await Promise.all(Array.from({ length: concurrency }, () => lane(call, until)))
  return lanes.reduce((sum, done) => sum + done, 0)
}

answer({
  /** Runs until the compilers have had enough to go by: so many calls, or so much time with a slow contestant. */
  async warmUp({ calls, maxMs, ...load }: Omit<Load, 'ms'> & { calls: number; maxMs: number }) {
    const until = performance.now() + maxMs
    const before = made
    while (made - before < calls && performance.now() < until) await loop({ ...load, ms: 100 })
  },
  async setup({ id, origins }: { id: string; origins: Record<string, string> }) {
    const make = await httpContestants[id]?.load()
    if (!make) throw new Error(`no such contestant: ${id}`)
    for (const [server, origin] of Object.entries(origins)) contestants.set(server, await make(origin))
  },
  loop,
  made: () => made,
  /** One measured slice; a short unmeasured one before it reopens sockets that the pause has closed. */
  async slice(task: Load) {
    await loop({ ...task, ms: Math.min(50, task.ms / 5) })
    const { value: operations, wallMs, cpuUs } = await meter(() => loop(task))
    return { perSecond: (operations / wallMs) * 1000, cpuUs: cpuUs / operations }
  },
  async allocation(task: Load) {
    const { value: operations, bytes, gcUs } = await meterAllocation(() => loop(task))
    return { bytes: bytes / operations, gcUs: gcUs / operations }
  },
})
