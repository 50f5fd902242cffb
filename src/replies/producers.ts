// Writers that number their requests: each is taken once, in order, and one that was replaced is
// kept out. Source: Durable Streams 1.0, section 5.2.1, after Kafka's idempotent producers.

import type { ProducerRequest, ProducerState } from './log.ts'

export type ProducerVerdict =
  /** It is the next one. */
  | { readonly kind: 'next' }
  /** It was taken before; `seq` is the latest that was. */
  | { readonly kind: 'duplicate'; readonly seq: number }
  /** A later run of the same writer has taken over. */
  | { readonly kind: 'stale'; readonly epoch: number }
  | { readonly kind: 'gap'; readonly expected: number }
  /** A new run has to begin at 0. */
  | { readonly kind: 'notFromZero' }

export function judgeProducer(known: ProducerState | undefined, request: ProducerRequest): ProducerVerdict {
  const { epoch, seq } = request
  if (known && epoch < known.epoch) return { kind: 'stale', epoch: known.epoch }
  if (known && epoch === known.epoch) {
    if (seq <= known.seq) return { kind: 'duplicate', seq: known.seq }
    return seq === known.seq + 1 ? { kind: 'next' } : { kind: 'gap', expected: known.seq + 1 }
  }
  if (seq === 0) return { kind: 'next' }
  return known ? { kind: 'notFromZero' } : { kind: 'gap', expected: 0 }
}

/**
 * The oldest ones go when there are more: a log that many write to does not grow with their
 * number.
 */
export const MAX_PRODUCERS = 1000

/** The states after a request was taken. */
export function withProducer(
  known: Readonly<Record<string, ProducerState>>,
  { id, epoch, seq }: ProducerRequest,
  now: number,
): Readonly<Record<string, ProducerState>> {
  const all = { ...known, [id]: { epoch, seq, at: now } }
  const names = Object.keys(all)
  if (names.length <= MAX_PRODUCERS) return all
  const oldest = names.reduce((one, other) => (timeOf(all, other) < timeOf(all, one) ? other : one))
  delete all[oldest]
  return all
}

function timeOf(all: Readonly<Record<string, ProducerState>>, id: string): number {
  return all[id]?.at ?? 0
}
