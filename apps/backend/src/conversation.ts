// The main job: one whole conversation over a line that is cut in the middle of it, and the counts that show nothing was lost.

import { once } from 'node:events'
import { Endpoint } from 'guru-comms'
import type { Question, Responder } from 'guru-comms/server'
import type { Timeline } from './Timeline.ts'

const OPENING = 'What happens when the line is cut?'
const WHILE_DOWN = ['How does the circuit breaker decide?', 'Is a POST ever sent twice?']
/** How long the backend is gone. */
const OUTAGE_MS = 1500

export interface Counts {
  readonly questions: number
  readonly answered: number
  readonly lost: number
  readonly duplicated: number
  readonly cuts: number
  readonly outageMs: number
}

/** Wraps a responder and counts how often each question reaches it: the server's side of the truth. */
export function counting(responder: Responder): { responder: Responder; seen: Map<string, number> } {
  const seen = new Map<string, number>()
  return {
    seen,
    responder: {
      respond(question: Question, context) {
        seen.set(question.id, (seen.get(question.id) ?? 0) + 1)
        return responder.respond(question, context)
      },
    },
  }
}

/** Holds the conversation and shows it. */
export async function converse(
  port: number,
  seen: ReadonlyMap<string, number>,
  timeline: Timeline,
): Promise<Counts> {
  const http = `http://localhost:${port}`
  const endpoint = new Endpoint({
    WS_URL: `ws://localhost:${port}/ws`,
    API_BASE_URL: http,
    NODE_ENV: 'development',
    connection: { healthInterval: 500 },
  })
  const asked: string[] = []
  let answered = 0
  let cutAt = 0
  let outageMs = 0
  endpoint.on('connectionState', (state) => {
    const { queuedMessages } = endpoint.connection.getStats()
    if (state === 'open' && cutAt > 0) outageMs = performance.now() - cutAt
    timeline.state(state, state === 'connecting' && queuedMessages > 0 ? `${queuedMessages} waiting` : '')
  })
  // What goes wrong is to be seen in the states; here it is done on purpose.
  endpoint.on('error', () => {})

  const ask = (text: string) => {
    const reply = endpoint.ask(text)
    asked.push(reply.id)
    const { queuedMessages } = endpoint.connection.getStats()
    timeline.asked(text, queuedMessages > 0 ? `queued, ${queuedMessages} waiting` : '')
    return reply
  }
  const show = async (reply: ReturnType<typeof ask>) => {
    const text = timeline.answer()
    // Emphasis is for pages; a terminal would show the stars.
    for await (const piece of reply) text.push(piece.replaceAll('**', ''))
    text.end()
    answered += 1
  }

  try {
    await once(endpoint.connection as unknown as NodeJS.EventEmitter, 'open')
    await show(ask(OPENING))

    timeline.hurt(`the line is cut: for ${OUTAGE_MS / 1000} s nobody is there`)
    cutAt = performance.now()
    const lost = new Promise((resolve) => endpoint.once('disconnected', resolve))
    await endpoint.api.post('/__faults', { refuseMs: OUTAGE_MS })
    await lost
    const replies = WHILE_DOWN.map(ask)
    for (const [index, reply] of replies.entries()) {
      if (index > 0) timeline.note(WHILE_DOWN[index] as string)
      await show(reply)
    }
  } finally {
    endpoint.dispose()
  }
  return {
    questions: asked.length,
    answered,
    lost: asked.filter((id) => !seen.has(id)).length + (asked.length - answered),
    duplicated: [...seen.values()].filter((times) => times > 1).length,
    cuts: 1,
    outageMs,
  }
}
