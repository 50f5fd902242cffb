// The main job: one whole conversation over a line that is cut in the middle of an answer, and the counts that show that
// nothing was lost.

import { type CommsError, Endpoint, type Reply } from 'guru-comms'
import type { Seen } from './counting.ts'
import { duration, type Timeline } from './Timeline.ts'

const OPENING = 'What happens when the line is cut?'
const WHILE_DOWN = ['How does the circuit breaker decide?', 'Is a POST ever sent twice?']
/** Pieces of the first answer that have come when the line is cut. */
const PIECES_BEFORE_CUT = 12
/** How long the backend is gone. */
const OUTAGE_MS = 1500

export interface Counts {
  readonly questions: number
  readonly answered: number
  /** Never reached the assistant, or did not get the whole of its answer back. */
  readonly lost: number
  /** Reached the assistant more than once. */
  readonly duplicated: number
  /** Reached it, and it could not answer: no fault of the line. */
  readonly failed: number
  readonly outageMs: number
}

/**
 * Holds the conversation and shows it.
 * @throws the reason of `signal` when it aborts
 */
export async function converse(
  port: number,
  seen: Seen,
  timeline: Timeline,
  signal: AbortSignal,
): Promise<Counts> {
  const endpoint = new Endpoint({
    WS_URL: `ws://localhost:${port}/ws`,
    API_BASE_URL: `http://localhost:${port}`,
    NODE_ENV: 'development',
    // Looks after the backend more often than by default: nobody wants to watch a screen for five seconds.
    connection: { healthInterval: 500, session: 'required' },
  })
  const asked: string[] = []
  const ended = new Set<string>()
  const heard = new Map<string, string>()
  let cutAt: number | undefined
  let outageMs = 0

  endpoint.on('connectionState', (state) => {
    if (state === 'connecting') timeline.state(state)
    if (state !== 'open') return
    if (cutAt !== undefined) outageMs = performance.now() - cutAt
    timeline.state(state, cutAt === undefined ? '' : `back after ${duration(outageMs)}`)
  })
  endpoint.on('reconnecting', ({ delay }) =>
    timeline.state('waiting', `next attempt within ${duration(delay)}, or when health is back`),
  )
  // What goes wrong is to be seen in the states; here it is done on purpose.
  endpoint.on('error', () => {})

  const ask = (text: string): Reply => {
    const reply = endpoint.ask(text)
    asked.push(reply.id)
    const { queuedMessages } = endpoint.connection.getStats()
    timeline.asked(text, queuedMessages > 0 ? `queued, ${queuedMessages} waiting` : '')
    return reply
  }
  const show = async (reply: Reply, heading?: string, onPiece?: (pieces: number) => void) => {
    const text = timeline.answer()
    try {
      let pieces = 0
      for await (const piece of reply) {
        if (pieces === 0 && heading !== undefined) timeline.answering(heading)
        pieces += 1
        heard.set(reply.id, (heard.get(reply.id) ?? '') + piece)
        // Emphasis is for pages; a terminal would show the stars.
        text.push(piece.replaceAll('**', ''))
        onPiece?.(pieces)
      }
      ended.add(reply.id)
    } catch (error) {
      if (signal.aborted) throw signal.reason
      // The assistant failed, and said so: that is no fault of the line, and nothing of it was lost.
      if ((error as CommsError).code === 'REMOTE') ended.add(reply.id)
      timeline.hurt(`no answer: ${(error as Error).message}`)
    } finally {
      text.end()
      timeline.plain()
    }
  }
  const next = (event: 'open' | 'disconnected') =>
    new Promise<void>((resolve, reject) => {
      endpoint.once(event, () => resolve())
      signal.addEventListener('abort', () => reject(signal.reason), { once: true })
    })
  // Ends every reply that is waited for.
  const abandon = () => endpoint.dispose()

  try {
    signal.throwIfAborted()
    signal.addEventListener('abort', abandon, { once: true })
    await next('open')
    const replies: { text: string; reply: Reply }[] = []
    const down = next('disconnected').then(() => {
      // It is also heard when the endpoint is disposed of.
      if (signal.aborted) return
      for (const text of WHILE_DOWN) replies.push({ text, reply: ask(text) })
    })
    const cut = async () => {
      timeline.hurt(`the line is cut in mid-sentence: for ${duration(OUTAGE_MS)} nobody is there`)
      cutAt = performance.now()
      await endpoint.api.post('/__faults', { refuseMs: OUTAGE_MS }, { signal })
    }
    down.catch(() => {})
    let cutting: Promise<void> | undefined
    await show(ask(OPENING), undefined, (pieces) => {
      if (pieces >= PIECES_BEFORE_CUT) cutting ??= cut()
    })
    await (cutting ?? cut())
    await down
    for (const { text, reply } of replies) await show(reply, text)
  } finally {
    signal.removeEventListener('abort', abandon)
    endpoint.dispose()
  }
  return {
    questions: asked.length,
    answered: ended.size - asked.filter((id) => seen.failures.has(id)).length,
    lost: asked.filter((id) => !ended.has(id) || heard.get(id) !== seen.answers.get(id)).length,
    duplicated: asked.filter((id) => (seen.times.get(id) ?? 0) > 1).length,
    failed: asked.filter((id) => seen.failures.has(id)).length,
    outageMs,
  }
}
