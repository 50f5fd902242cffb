// What apps have seen, and whether it may be so. It knows nothing of how messages travel: it is told when a message is
// accepted, when a handler of it begins and settles, which fate is told, and which process has died.

import { Violation } from './effects.ts'

/** The handler of a message within one session. */
interface Handling {
  number: number
  /** The process whose handler began: 'client0', 'node1'. */
  by: string
  /** That process still lives, and still owns the session. */
  live: boolean
  /** It has settled, and if that process died since, that was recorded. */
  settled: boolean
  /** The sender was given a receipt. */
  receipt: boolean
}

interface Seen {
  accepted: boolean
  /** Its sender has been told that it was delivered, dropped, or is in doubt, or will send it anew; or died with it. */
  told: string[]
  /** By session. */
  handled: Record<string, Handling>
}

/** By message. */
export type History = Record<string, Seen>

/** How many messages of one sender came before. */
const place = (message: string) => Number.parseInt(message.slice(1), 10)

/**
 * The history after one more fact. Throws what may not be. `copied`: two processes go on with one outbox, so that what one of
 * them drops or handles is no news of the other.
 */
export function witness(history: History, fact: string, copied = false): void {
  const [what = '', name = '', ...rest] = fact.split(' ')
  switch (what) {
    case 'accepted':
      seen(history, name).accepted = true
      return
    case 'start':
      start(history, name, rest, copied)
      return
    case 'settled': {
      const [sid = '', by] = rest
      const handling = history[name]?.handled[sid]
      // What a process does that has let go of the session does not count: its successor handles it again.
      if (handling?.live && (handling.by === by || copied)) handling.settled = true
      return
    }
    case 'gaveUp': {
      const [sid = '', direction] = rest
      for (const [message, { handled }] of Object.entries(history)) {
        const handling = handled[sid]
        if (handling?.number === Number(name) && message.startsWith('s') === (direction === 'toClient'))
          handling.settled = true
      }
      return
    }
    case 'delivered': {
      const [sid = ''] = rest
      const known = seen(history, name)
      const handling = known.handled[sid]
      if (!handling?.settled) throw new Violation(`a receipt for ${name}, whose handler has not settled`)
      handling.receipt = true
      known.told.push('delivered')
      return
    }
    case 'doubt':
    case 'resent':
      seen(history, name).told.push(what)
      return
    case 'dropped': {
      const known = seen(history, name)
      const begun = Object.keys(known.handled).length > 0
      if (begun && !copied && !known.told.includes('resent'))
        throw new Violation(`${name} is dropped, but was handled`)
      known.told.push('dropped')
      return
    }
    case 'died':
      died(history, name, JSON.parse(rest[0] as string), rest[1] ?? '')
      return
    case 'letGo':
      died(history, name, JSON.parse(rest[0] as string), '', rest[1])
      return
    default:
      return
  }
}

function seen(history: History, message: string): Seen {
  const known = history[message] ?? { accepted: false, told: [], handled: {} }
  history[message] = known
  return known
}

function start(
  history: History,
  message: string,
  [sid = '', number = '', by = '', flag]: string[],
  copied: boolean,
): void {
  const known = seen(history, message)
  const before = known.handled[sid]
  const isCopy = copied && by.startsWith('client')
  if (before?.receipt && !isCopy) throw new Violation(`${message} is handled again after its receipt`)
  if (before?.live && !isCopy) throw new Violation(`${message} is handled twice in ${sid}`)
  if (before?.settled && !isCopy)
    throw new Violation(`${message} is handled again although that it was had been recorded`)
  if (before && flag !== 'flagged' && !isCopy)
    throw new Violation(`${message} is handled again, and not flagged`)
  if (known.told.includes('dropped') && !copied)
    throw new Violation(`${message} is handled, but was reported as dropped`)
  for (const [other, { handled }] of Object.entries(history)) {
    const one = handled[sid]
    if (one?.live && one.by === by && other[0] === message[0] && place(other) > place(message))
      throw new Violation(`the handler of ${message} begins after that of ${other}`)
    if (one?.live && one.by !== by && one.by.startsWith('node') && by.startsWith('node') && !one.settled)
      throw new Violation(`${by} begins ${message} of ${sid} while ${one.by} handles ${other}`)
  }
  if (before && isCopy) return
  known.handled[sid] = { number: Number(number), by, live: true, settled: false, receipt: false }
}

/** `rx`: what is recorded of its sessions. `owns`: the messages that it held in memory only, by their first letter. */
function died(
  history: History,
  who: string,
  rx: Record<string, number>,
  owns: string,
  only: string | undefined = undefined,
): void {
  for (const [message, known] of Object.entries(history)) {
    for (const [sid, handling] of Object.entries(known.handled)) {
      if (handling.by !== who || (only !== undefined && only !== sid)) continue
      handling.live = false
      // A session of which nothing is recorded is gone: nothing of it is ever handled again.
      const recorded = rx[sid]
      if (recorded !== undefined && handling.number > recorded && !handling.receipt) handling.settled = false
    }
    if (owns !== '' && message.startsWith(owns) && known.accepted && !isTold(known))
      known.told.push('forgotten')
  }
}

const isTold = ({ told }: Seen) => told.some((fate) => fate !== 'resent')

/**
 * What is still open when nothing is going to happen any more; empty when all is well.
 * @param left messages that a client which has stopped keeps for who goes on
 */
export function unanswered(history: History, left: readonly string[]): string {
  for (const [message, known] of Object.entries(history)) {
    if (!known.accepted || isTold(known) || left.includes(message)) continue
    if (Object.values(known.handled).some(({ settled }) => settled)) continue
    return `${message} was accepted, and neither handled nor reported`
  }
  return ''
}
