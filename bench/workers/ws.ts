// The process of one realtime contestant: floods either way, and echoes.

import type { WsContestant } from '../contestants/ws/contestant.ts'
import { wsContestants } from '../contestants/ws/registry.ts'
import { answer } from '../harness/child.ts'
import { meter, meterAllocation } from '../harness/usage.ts'
import { delta } from '../servers/payload.ts'

export type WsTask = 'down' | 'up' | 'echo'

const FLOOD = 5000
/** Messages sent in one turn of the event loop, as a burst of an application is. */
const PER_TURN = 50
/** Messages sent before the server must have counted them all. */
const WINDOW = 1000

let contestant: WsContestant
let received = 0
let awaited = 0
let arrived: (message: unknown) => void = () => {}

function onMessage(message: unknown): void {
  received += 1
  if (received === awaited) arrived(message)
}

/** Resolves with the last of the next `count` messages. */
function next(count: number): Promise<unknown> {
  return new Promise((resolve) => {
    awaited = received + count
    arrived = resolve
  })
}

const turn = () => new Promise<void>((resolve) => setImmediate(resolve))

const tasks: Record<WsTask, (until: number) => Promise<number>> = {
  async down(until) {
    let done = 0
    while (performance.now() < until) {
      const last = next(FLOOD)
      contestant.send({ cmd: 'flood', count: FLOOD })
      const message = (await last) as { index?: unknown }
      if (message?.index !== 1) throw new Error(`not a piece of the flood: ${JSON.stringify(message)}`)
      done += FLOOD
    }
    return done
  },
  async echo(until) {
    let done = 0
    while (performance.now() < until) {
      const back = next(1)
      contestant.send({ cmd: 'echo', ...delta(done) })
      const message = (await back) as { index?: unknown }
      if (message?.index !== done) throw new Error(`not the echo: ${JSON.stringify(message)}`)
      done += 1
    }
    return done
  },
  async up(until) {
    let done = 0
    while (performance.now() < until) {
      for (let sent = 0; sent < WINDOW; sent += PER_TURN) {
        for (let index = 0; index < PER_TURN; index += 1) contestant.send(delta(done + sent + index))
        await turn()
      }
      done += WINDOW
      totalSent += WINDOW
      const counted = next(1)
      contestant.send({ cmd: 'report' })
      const report = (await counted) as { received?: unknown }
      if (report?.received !== totalSent) {
        throw new Error(`sent ${totalSent}, the server has ${JSON.stringify(report)}`)
      }
    }
    return done
  },
}
let totalSent = 0

interface Load {
  task: WsTask
  ms: number
}

const run = ({ task, ms }: Load) => tasks[task](performance.now() + ms)

answer({
  async setup({ id, origin }: { id: string; origin: string }) {
    const make = await wsContestants[id]?.load()
    if (!make) throw new Error(`no such contestant: ${id}`)
    await new Promise<void>((resolve, reject) => {
      Promise.resolve(make(origin, { onOpen: resolve, onMessage })).then((made) => {
        contestant = made
      }, reject)
      setTimeout(() => reject(new Error('not open after 10 s')), 10_000).unref()
    })
    await turn()
  },
  run,
  async slice(load: Load) {
    const { value: messages, wallMs, cpuUs } = await meter(() => run(load))
    return { perSecond: (messages / wallMs) * 1000, cpuUs: cpuUs / messages }
  },
  async allocation(load: Load) {
    const { value: messages, bytes } = await meterAllocation(() => run(load))
    return bytes / messages
  },
})
