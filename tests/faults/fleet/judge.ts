// The report of a fleet, read from beginning to end: was anything lost, doubled or out of order?

import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { History } from '../../../src/testing/History.ts'

export interface Verdict {
  readonly violations: readonly string[]
  readonly up: number
  readonly down: number
  /** Handled again, flagged, after a session had changed its owner. */
  readonly again: number
  /** How often sessions changed their owner. */
  readonly takeovers: number
  /** Sessions that clients were told to be lost. */
  readonly lost: number
  /** Messages whose fate was reported as unknown. */
  readonly inDoubt: number
}

/** One direction of one client. */
interface Way {
  readonly history: History
  /** Sent and not known to be accepted: by whom. */
  readonly unconfirmed: Map<string, string>
}

const newWay = (): Way => ({ history: new History(), unconfirmed: new Map() })

export async function judge(file: string): Promise<Verdict> {
  const lines: string[][] = []
  for await (const line of createInterface({ input: createReadStream(file) })) lines.push(line.split(' '))
  const clientOf = new Map<string, string>()
  for (const [what, sid = '', c = ''] of lines) if (what === 'is') clientOf.set(sid, c)

  const ups = new Map<string, Way>()
  const downs = new Map<string, Way>()
  const way = (all: Map<string, Way>, c: string): Way => {
    const known = all.get(c) ?? newWay()
    all.set(c, known)
    return known
  }
  const down = (sid: string) => way(downs, clientOf.get(sid) ?? `nobody, in ${sid}`)
  const counts = { takeovers: 0, lost: 0, inDoubt: 0 }
  const violations: string[] = []
  const doubt = (one: Way, name: string) => {
    one.unconfirmed.delete(name)
    counts.inDoubt += 1
    one.history.inDoubt(name)
  }
  for (const [what, who = '', name = '', by = '', flag = ''] of lines) {
    switch (what) {
      case 'says':
        way(ups, who).history.sent(name)
        break
      case 'handled':
        way(ups, who).history.handled(name, flag === 'again')
        break
      case 'told':
        way(ups, who).history.delivered(name)
        break
      case 'doubts':
        doubt(way(ups, who), name)
        break
      case 'takes':
        // Another owner: what the one before had begun, and not settled, begins again, flagged.
        counts.takeovers += 1
        if (clientOf.has(who)) way(ups, clientOf.get(who) as string).history.receiverDied()
        break
      case 'sends': {
        const one = down(who)
        one.history.sent(name)
        one.unconfirmed.set(name, by)
        break
      }
      case 'stored':
        down(who).unconfirmed.delete(name)
        break
      case 'unsure':
        // Twice where both the receipt and the session's end say so.
        if (down(who).unconfirmed.has(name)) doubt(down(who), name)
        break
      case 'took':
        way(downs, who).history.handled(name, false)
        if (by === 'again')
          violations.push(`client ${who} was handed ${name} as redelivered: it has not died`)
        break
      case 'arrived':
        down(who).history.delivered(name)
        break
      case 'died':
        for (const one of downs.values())
          for (const [message, sender] of one.unconfirmed)
            if (sender === who) {
              one.unconfirmed.delete(message)
              one.history.senderForgot(message)
            }
        break
      case 'lost':
        counts.lost += 1
        violations.push(`client ${who} has lost its session: ${name}`)
        break
      case 'failed':
      case 'error':
        violations.push(`client ${who}: ${what} ${name} ${by} ${flag}`)
        break
      default:
    }
  }
  const sums = { up: 0, down: 0, again: 0 }
  for (const [side, all] of [
    ['up', ups],
    ['down', downs],
  ] as const)
    for (const [c, { history }] of all) {
      sums[side] += history.accepted
      sums.again += history.counts.doubled
      violations.push(...history.check().map((violation) => `client ${c}, ${side}: ${violation}`))
    }
  return { violations, ...sums, ...counts }
}
