// Many clients of one contestant that do nothing but stay connected, and talk a little: when was each open, when did its
// library hold that the connection was gone? In milliseconds since the epoch, since other processes know those, too.

import type { WsContestant } from '../contestants/ws/contestant.ts'
import { wsContestants } from '../contestants/ws/registry.ts'
import { answer } from '../harness/child.ts'
import { delta } from '../servers/payload.ts'

/** What a group of clients does while it is connected. */
export type Talk =
  | 'silent'
  /** Messages that nothing comes back for. */
  | 'sending'
  /** Messages that are answered. */
  | 'conversing'

interface Client {
  readonly contestant: WsContestant
  readonly opens: number[]
  readonly closes: number[]
}

const TALK_EVERY_MS = 100
const groups = new Map<string, Client[]>()

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

/** Of each client of the group the first moment from `since` on; `null` where there is none yet. */
function firsts(group: string, what: 'opens' | 'closes', since: number): (number | null)[] {
  return (groups.get(group) ?? []).map((client) => client[what].find((at) => at >= since) ?? null)
}

interface Setup {
  id: string
  group: string
  origin: string
  count: number
  /** They are opened over so long a time, so that their heartbeats do not beat as one. */
  spreadMs: number
  talk: Talk
}

answer({
  async setup({ id, group, origin, count, spreadMs, talk }: Setup) {
    const make = await wsContestants[id]?.load()
    if (!make) throw new Error(`no such contestant: ${id}`)
    const clients: Client[] = []
    groups.set(group, clients)
    const open = async (index: number) => {
      await sleep((spreadMs * (index + Math.random())) / count)
      const opens: number[] = []
      const closes: number[] = []
      const contestant = await make(origin, {
        onOpen: () => opens.push(Date.now()),
        onMessage: () => {},
        onClose: () => closes.push(Date.now()),
      })
      clients.push({ contestant, opens, closes })
    }
    await Promise.all(Array.from({ length: count }, (_, index) => open(index)))
    const until = Date.now() + 10_000
    while (clients.some(({ opens }) => opens.length === 0)) {
      if (Date.now() > until) throw new Error('not all were open after 10 s')
      await sleep(10)
    }
    if (talk === 'silent') return
    const message = talk === 'conversing' ? { cmd: 'echo', ...delta(1) } : delta(1)
    setInterval(() => {
      for (const { contestant } of clients) contestant.send(message)
    }, TALK_EVERY_MS)
  },
  opens: ({ group, since }: { group: string; since: number }) => firsts(group, 'opens', since),
  closes: ({ group, since }: { group: string; since: number }) => firsts(group, 'closes', since),
})
