// What an append makes of a log. Pure: it is given the head and says what to record.

import type { StepResult } from './LogStore.ts'
import { hasExpired, type LogHead, mediaType, type ProducerRequest, type ReplyState } from './log.ts'
import { judgeProducer, withProducer } from './producers.ts'

export interface AppendRequest {
  /** `undefined` where none was said. */
  readonly contentType: string | undefined
  /** What to add, taken apart already; `undefined` for nothing. */
  readonly content: { readonly units: number; readonly data: Uint8Array } | undefined
  /** The body is not what the content type says. */
  readonly malformed: string | undefined
  /** Nothing more follows. */
  readonly close: boolean
  /**
   * How the reply stands from now on.
   * @default 'complete' where nothing more follows, else as before
   */
  readonly state?: ReplyState | undefined
  /** Until when its producer is taken to live from now on. @default as before */
  readonly leaseUntil?: number | undefined
  /** `Stream-Seq`. */
  readonly seq: string | undefined
  readonly producer: ProducerRequest | undefined
}

export interface AppendLimits {
  /** Of one log. */
  readonly maxBytes: number
}

export type AppendResult =
  | { readonly kind: 'appended'; readonly head: LogHead }
  /** It was taken before. */
  | { readonly kind: 'duplicate'; readonly head: LogHead; readonly seq: number }
  | { readonly kind: 'missing' }
  | { readonly kind: 'removed' }
  | { readonly kind: 'closed'; readonly head: LogHead }
  | { readonly kind: 'wrongType'; readonly head: LogHead }
  | { readonly kind: 'wrongSeq'; readonly head: LogHead }
  | { readonly kind: 'staleProducer'; readonly epoch: number }
  | { readonly kind: 'producerGap'; readonly expected: number }
  | { readonly kind: 'invalid'; readonly reason: string }
  | { readonly kind: 'full' }

/** The order of the checks is that of Durable Streams 1.0, section 5.2. */
export function appendStep(
  head: LogHead | undefined,
  request: AppendRequest,
  limits: AppendLimits,
  now: number,
): StepResult<AppendResult> {
  if (!head || hasExpired(head, now)) return refused({ kind: 'missing' })
  if (head.removed) return refused({ kind: 'removed' })
  const { content, close, producer, seq } = request
  if (head.closed) return refused(onClosed(head, request))
  if (content && request.contentType === undefined)
    return refused({ kind: 'invalid', reason: 'Content-Type is missing' })
  if (content && mediaType(request.contentType as string) !== mediaType(head.contentType))
    return refused({ kind: 'wrongType', head })
  if (request.malformed !== undefined) return refused({ kind: 'invalid', reason: request.malformed })
  if (!content && !close) return refused({ kind: 'invalid', reason: 'there is nothing to append' })
  if (producer) {
    const wrong = ofProducer(head, producer)
    if (wrong) return refused(wrong)
  }
  if (seq !== undefined && head.lastSeq !== undefined && !isAfter(seq, head.lastSeq))
    return refused({ kind: 'wrongSeq', head })
  if (content && head.bytes + content.data.length > limits.maxBytes) return refused({ kind: 'full' })
  const after: LogHead = {
    ...head,
    tail: head.tail + (content?.units ?? 0),
    bytes: head.bytes + (content?.data.length ?? 0),
    closed: close,
    state: request.state ?? (close ? 'complete' : head.state),
    closedBy: close ? producer : undefined,
    lastSeq: seq ?? head.lastSeq,
    producers: producer ? withProducer(head.producers, producer, now) : head.producers,
    usedAt: now,
    leaseUntil: close ? undefined : (request.leaseUntil ?? head.leaseUntil),
  }
  const result = { kind: 'appended', head: after } as const
  if (!content) return { result, writes: [{ kind: 'put', head: after }] }
  const { path } = head
  const record = { position: head.tail, units: content.units, data: content.data }
  return {
    result,
    writes: [
      { kind: 'append', path, record },
      { kind: 'put', head: after },
    ],
  }
}

function refused(result: AppendResult): StepResult<AppendResult> {
  return { result, writes: [] }
}

function onClosed(head: LogHead, { content, close, producer }: AppendRequest): AppendResult {
  if (producer) {
    const known = producerOf(head, producer.id)
    // Whoever was replaced hears of that, whatever became of the log.
    if (known && producer.epoch < known.epoch) return { kind: 'staleProducer', epoch: known.epoch }
    const { closedBy } = head
    const same =
      closedBy?.id === producer.id && closedBy.epoch === producer.epoch && closedBy.seq === producer.seq
    if (same) return { kind: 'duplicate', head, seq: producer.seq }
    return { kind: 'closed', head }
  }
  return close && !content ? { kind: 'appended', head } : { kind: 'closed', head }
}

function ofProducer(head: LogHead, request: ProducerRequest): AppendResult | undefined {
  const verdict = judgeProducer(producerOf(head, request.id), request)
  switch (verdict.kind) {
    case 'next':
      return undefined
    case 'duplicate':
      return { kind: 'duplicate', head, seq: verdict.seq }
    case 'stale':
      return { kind: 'staleProducer', epoch: verdict.epoch }
    case 'gap':
      return { kind: 'producerGap', expected: verdict.expected }
    case 'notFromZero':
      return { kind: 'invalid', reason: 'a new Producer-Epoch begins with Producer-Seq 0' }
  }
}

/** Names come from outside: `constructor` is nobody's. */
function producerOf({ producers }: LogHead, id: string): LogHead['producers'][string] | undefined {
  return Object.hasOwn(producers, id) ? producers[id] : undefined
}

const encoder = new TextEncoder()

/** By bytes, as the protocol has it: the order of UTF-16 differs beyond the basic plane. */
function isAfter(one: string, other: string): boolean {
  const a = encoder.encode(one)
  const b = encoder.encode(other)
  const length = Math.min(a.length, b.length)
  for (let at = 0; at < length; at += 1) if (a[at] !== b[at]) return (a[at] as number) > (b[at] as number)
  return a.length > b.length
}
