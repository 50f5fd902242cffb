import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { readUserMessage } from './userMessages.ts'

describe('what a client may say', () => {
  it.each([
    [
      { type: 'message', id: 'q', content: 'Hi' },
      { kind: 'question', question: { id: 'q', content: 'Hi' } },
    ],
    [
      { role: 'user', type: 'message', id: 'q', content: 'Hi', timestamp: 1, image: 'AAAA', more: {} },
      { kind: 'question', question: { id: 'q', content: 'Hi', image: 'AAAA' } },
    ],
    [
      { type: 'stop', id: 'q' },
      { kind: 'stop', id: 'q' },
    ],
    [
      { type: 'ping', timestamp: 17 },
      { kind: 'ping', timestamp: 17 },
    ],
    [
      { type: 'ping', timestamp: 'x' },
      { kind: 'ping', timestamp: undefined },
    ],
    [{ type: 'heartbeat' }, { kind: 'ping', timestamp: undefined }],
    [{ type: 'pong' }, { kind: 'pong' }],
    [
      { type: 'audio', data: 'AAAA' },
      { kind: 'audio', bytes: 3 },
    ],
  ])('%j', (message, read) => {
    expect(readUserMessage(message)).toEqual(read)
  })

  it.each([
    ['null', null, undefined, /JSON object/],
    ['an array', [], undefined, /JSON object/],
    ['a number', 17, undefined, /JSON object/],
    ['an object without a type', {}, undefined, /unknown type/],
    ['a type from the prototype', { type: 'constructor', id: 'q' }, 'q', /unknown type/],
    ['a type that is no string', { type: ['message'] }, undefined, /unknown type/],
    ['a stop of a number', { type: 'stop', id: 7 }, undefined, /"id"/],
    ['audio that is no text', { type: 'audio', data: {} }, undefined, /"data"/],
    ['a question without an id', { type: 'message', content: 'Hi' }, undefined, /"id"/],
    ['an empty id', { type: 'message', id: '', content: 'Hi' }, undefined, /"id"/],
    ['an endless id', { type: 'message', id: 'x'.repeat(201), content: 'Hi' }, undefined, /"id"/],
    ['a question without content', { type: 'message', id: 'q' }, 'q', /"content"/],
    ['an empty question', { type: 'message', id: 'q', content: '' }, 'q', /"content"/],
    ['content that is an object', { type: 'message', id: 'q', content: { toString: 'x' } }, 'q', /"content"/],
    ['a text too long', { type: 'message', id: 'q', content: 'x'.repeat(100_001) }, 'q', /100000/],
    ['an image that is a number', { type: 'message', id: 'q', content: 'Hi', image: 5 }, 'q', /"image"/],
  ])('%s is refused', (_what, message, id, reason) => {
    const read = readUserMessage(message)
    expect(read).toMatchObject({ kind: 'wrong', id })
    expect((read as { reason: string }).reason).toMatch(reason)
  })

  it('whatever comes, there is an answer', () => {
    const kinds = ['question', 'stop', 'ping', 'pong', 'audio', 'wrong']
    const types = fc.constantFrom(
      'message',
      'stop',
      'ping',
      'pong',
      'audio',
      'heartbeat',
      '__proto__',
      'toString',
    )
    const message = fc.oneof(
      fc.jsonValue(),
      fc.record(
        {
          type: types,
          id: fc.jsonValue(),
          content: fc.jsonValue(),
          image: fc.jsonValue(),
          data: fc.jsonValue(),
        },
        { requiredKeys: [] },
      ),
    )
    fc.assert(
      fc.property(message, (value) => {
        expect(kinds).toContain(readUserMessage(value).kind)
      }),
    )
  })
})
