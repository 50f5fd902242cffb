// Who gives way when no more can be kept for clients: whoever holds most, one that is away before one that is there. What
// one owner lets pile up is never paid for with a message of another.

/** What is kept for the client of one session. */
export interface Queue {
  /** Whom the session belongs to: a principal, or an address where nobody has said who it is. */
  readonly owner: string
  readonly queuedBytes: number
  /** Whether no connection carries it now. */
  readonly away: boolean
}

/**
 * Which session has to end, so that something can be kept for `owner`; `undefined` when that one holds most himself: then it
 * is his message that finds no room.
 */
export function whoGivesWay<Session extends Queue>(
  sessions: Iterable<Session>,
  owner: string,
): Session | undefined {
  const byOwner = new Map<string, { bytes: number; first: Session }>()
  for (const session of sessions) {
    const known = byOwner.get(session.owner)
    if (known) {
      known.bytes += session.queuedBytes
      if (goesBefore(session, known.first)) known.first = session
    } else byOwner.set(session.owner, { bytes: session.queuedBytes, first: session })
  }
  let most = byOwner.get(owner)?.bytes ?? 0
  let found: Session | undefined
  for (const { bytes, first } of byOwner.values()) {
    if (bytes <= most || first.queuedBytes === 0) continue
    most = bytes
    found = first
  }
  return found
}

function goesBefore(one: Queue, other: Queue): boolean {
  const [oneHolds, otherHolds] = [one.queuedBytes > 0, other.queuedBytes > 0]
  if (oneHolds !== otherHolds) return oneHolds
  return one.away === other.away ? one.queuedBytes > other.queuedBytes : one.away
}
