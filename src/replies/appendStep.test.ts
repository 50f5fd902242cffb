import { describe, expect, it } from 'vitest'
import { someHead } from '../../tests/support/logStoreConformance.ts'
import { type AppendRequest, appendStep } from './appendStep.ts'
import type { LogHead, ProducerRequest } from './log.ts'
import { MAX_PRODUCERS, withProducer } from './producers.ts'

const LIMITS = { maxBytes: 100 }

function request(changes: Partial<AppendRequest> = {}): AppendRequest {
  const content = { units: 3, data: new Uint8Array(3) }
  const base = { contentType: 'text/plain', content, malformed: undefined, close: false }
  return { ...base, seq: undefined, producer: undefined, ...changes }
}

const append = (head: LogHead | undefined, changes?: Partial<AppendRequest>) =>
  appendStep(head, request(changes), LIMITS, 1000)

const numbered = (epoch: number, seq: number, id = 'worker'): { producer: ProducerRequest } => ({
  producer: { id, epoch, seq },
})

describe('appendStep', () => {
  it('adds behind the tail', () => {
    const { result, writes } = append(someHead('/a', { tail: 5, bytes: 5 }))
    expect(result).toMatchObject({ kind: 'appended', head: { tail: 8, bytes: 8, usedAt: 1000 } })
    expect(writes).toMatchObject([{ kind: 'append', record: { position: 5, units: 3 } }, { kind: 'put' }])
  })

  it.each<[string, LogHead | undefined, Partial<AppendRequest>, object]>([
    ['no log', undefined, {}, { kind: 'missing' }],
    ['one whose time is over', someHead('/a', { ttlSeconds: 1, usedAt: 0 }), {}, { kind: 'missing' }],
    ['one that was removed', someHead('/a', { removed: true }), {}, { kind: 'removed' }],
    ['a closed one', someHead('/a', { closed: true }), {}, { kind: 'closed' }],
    ['another type', someHead('/a'), { contentType: 'text/html' }, { kind: 'wrongType' }],
    ['no type', someHead('/a'), { contentType: undefined }, { kind: 'invalid' }],
    ['a body that is wrong', someHead('/a'), { malformed: 'it is no JSON' }, { kind: 'invalid' }],
    ['nothing', someHead('/a'), { content: undefined }, { kind: 'invalid' }],
    ['too much', someHead('/a', { bytes: 98 }), {}, { kind: 'full' }],
    ['a sequence that is not above', someHead('/a', { lastSeq: '2' }), { seq: '10' }, { kind: 'wrongSeq' }],
    ['a first request that is not 0', someHead('/a'), numbered(0, 1), { kind: 'producerGap', expected: 0 }],
  ])('refuses %s and records nothing', (_name, head, changes, result) => {
    expect(append(head, changes)).toMatchObject({ result, writes: [] })
  })

  it('types are the same whatever their case and parameters', () => {
    const head = someHead('/a', { contentType: 'Text/Plain; charset=utf-8' })
    expect(append(head, { contentType: 'text/plain' }).result.kind).toBe('appended')
  })

  it.each([
    [0, 3, 'stale'],
    [1, 2, 'duplicate'],
    [1, 1, 'duplicate'],
    [1, 3, 'appended'],
    [1, 4, 'gap'],
    [2, 0, 'appended'],
    [2, 1, 'invalid'],
  ])('of a producer at epoch 1, request 2: epoch %i, request %i is %s', (epoch, seq, expected) => {
    const head = someHead('/a', { producers: { worker: { epoch: 1, seq: 2, at: 0 } } })
    const kinds: Record<string, string> = { stale: 'staleProducer', gap: 'producerGap' }
    expect(append(head, numbered(epoch, seq)).result.kind).toBe(kinds[expected] ?? expected)
  })

  it('names that objects have by themselves are nobody', () => {
    for (const id of ['constructor', '__proto__', 'toString'])
      expect(append(someHead('/a'), numbered(0, 0, id)).result.kind).toBe('appended')
  })

  it('closing twice is one closing; with a body, or by another producer, it is a conflict', () => {
    const closedBy = { id: 'worker', epoch: 0, seq: 4 }
    const head = someHead('/a', { closed: true, closedBy })
    expect(append(head, { content: undefined, close: true }).result.kind).toBe('appended')
    expect(append(head, { close: true }).result.kind).toBe('closed')
    expect(append(head, { close: true, producer: closedBy }).result).toMatchObject({
      kind: 'duplicate',
      seq: 4,
    })
    expect(append(head, { close: true, ...numbered(0, 5) }).result.kind).toBe('closed')
  })

  it('remembers no more producers than its bound: the oldest go', () => {
    let known: LogHead['producers'] = {}
    for (let at = 0; at < MAX_PRODUCERS + 5; at += 1)
      known = withProducer(known, { id: `p${at}`, epoch: 0, seq: 0 }, at)
    expect(Object.keys(known)).toHaveLength(MAX_PRODUCERS)
    expect(known).not.toHaveProperty('p4')
    expect(known).toHaveProperty('p5')
  })
})
