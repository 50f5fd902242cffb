// More and more connections in one process: what each weighs, what it costs while it does nothing, and what a message costs among
// so many.

import { execFileSync } from 'node:child_process'
import { GuruConnection } from 'guru-comms/GuruConnection'
import { answer } from '../harness/child.ts'
import { settledHeap } from '../harness/heap.ts'
import { meter } from '../harness/usage.ts'
import { delta } from '../servers/payload.ts'

/** A third of the default, so that a few seconds hold a heartbeat of every connection. */
const PING_INTERVAL_MS = 5000
const AT_A_TIME = 100
const connections: GuruConnection[] = []
let received = 0

const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))
const openOne = (origin: string) =>
  new Promise<GuruConnection>((resolve, reject) => {
    const connection = new GuruConnection({ url: `${origin}/ws`, pingInterval: PING_INTERVAL_MS })
    connection.on('message', () => {
      received += 1
    })
    connection.once('open', () => resolve(connection))
    connection.once('error', reject)
  })

/** What the next `ms` cost; every millisecond or so `tick` is called. */
async function during(ms: number, tick: () => void): Promise<number> {
  const { cpuUs } = await meter(async () => {
    const timer = setInterval(tick, 1)
    await sleep(ms)
    clearInterval(timer)
  })
  return cpuUs
}

answer({
  /** How many files this process may have open. */
  limit: () => Number(execFileSync('/bin/sh', ['-c', 'ulimit -Hn'], { encoding: 'utf8' })) || Infinity,
  /** Makes it `count` in all. The heartbeats spread over their interval as the openings do. */
  async open({ origin, count }: { origin: string; count: number }) {
    while (connections.length < count) {
      const batch = Math.min(AT_A_TIME, count - connections.length)
      connections.push(...(await Promise.all(Array.from({ length: batch }, () => openOne(origin)))))
      await sleep((PING_INTERVAL_MS * batch) / count)
    }
  },
  /** Closes all, so that what is only made once has been made. */
  async close() {
    for (const connection of connections.splice(0)) connection.dispose()
    await sleep(100)
  },
  async weigh() {
    const heap = await settledHeap()
    return { heap, rss: process.memoryUsage().rss }
  },
  /** CPU microseconds of so long a time in which nothing is sent but heartbeats. */
  idle: async ({ ms }: { ms: number }) => (await meter(() => sleep(ms))).cpuUs,
  /** CPU microseconds a message and its echo, one after the other over all connections, less those of the timer alone. */
  async traffic({ ms }: { ms: number }) {
    const bare = await during(ms, () => {})
    let sent = 0
    const before = received
    const cpuUs = await during(ms, () => {
      connections[sent % connections.length]?.send({ cmd: 'echo', ...delta(sent) })
      sent += 1
    })
    const until = performance.now() + 5000
    while (received - before < sent && performance.now() < until) await sleep(10)
    if (received - before !== sent) throw new Error(`${sent} sent, ${received - before} came back`)
    return (cpuUs - bare) / sent
  },
})
