import { beforeEach, describe, expect, it } from 'vitest'
import { Conversation, type Delivery, isHalted } from './Conversation.ts'

describe('Conversation', () => {
  let conversation: Conversation
  const delivery = (id: string) => conversation.exchanges.find((exchange) => exchange.id === id)?.delivery

  beforeEach(() => {
    conversation = new Conversation()
    conversation.asked('a', { text: 'one' }, true, 0)
    conversation.asked('b', { text: 'two' }, false, 1)
  })

  it('what is asked while the line is down is queued until it opens', () => {
    expect([delivery('a'), delivery('b')]).toEqual(['sent', 'queued'])
    conversation.lineOpened()
    expect([delivery('a'), delivery('b')]).toEqual(['sent', 'sent'])
  })

  it('an answer grows piece by piece, each to its own question', () => {
    conversation.piece('a', 'Not ', 2)
    conversation.piece('b', 'Yes', 3)
    conversation.piece('a', 'so.', 4)
    conversation.ended('a')
    expect(conversation.exchanges.map(({ answer, delivery }) => [answer, delivery])).toEqual([
      ['Not so.', 'answered'],
      ['Yes', 'answering'],
    ])
  })

  it('an answer that is cut goes on without a gap, and keeps where and how long it halted', () => {
    conversation.piece('a', 'Not ', 2)
    conversation.lineLost(100)
    expect(conversation.exchanges.map(isHalted)).toEqual([true, false])
    // Back, and lost again before anything came: for who reads, it is one cut.
    conversation.lineOpened()
    conversation.lineLost(900)
    conversation.piece('a', 'so', 1500)
    expect(conversation.exchanges.map(isHalted)).toEqual([false, false])
    conversation.lineLost(2000)
    conversation.piece('a', '.', 2100)
    conversation.ended('a')
    expect(conversation.exchanges[0]).toMatchObject({
      delivery: 'answered',
      answer: 'Not so.',
      cuts: [
        { at: 4, gapMs: 1400 },
        { at: 6, gapMs: 100 },
      ],
    })
  })

  it('a cut in front of an answer, or behind it, is none', () => {
    conversation.lineLost(100)
    conversation.piece('a', 'Yes', 200)
    conversation.lineLost(300)
    conversation.ended('a')
    expect(conversation.exchanges.map(({ cuts }) => cuts)).toEqual([[], []])
  })

  it('is busy while an answer is under way or waited for', () => {
    expect(conversation.busy).toBe(true)
    conversation.ended('a')
    expect(conversation.busy).toBe(true)
    conversation.stopped('b')
    expect(conversation.busy).toBe(false)
  })

  it.each<[string, (id: string) => void, Delivery]>([
    ['answered', (id) => conversation.ended(id), 'answered'],
    ['stopped', (id) => conversation.stopped(id), 'stopped'],
    ['lost', (id) => conversation.failed(id, true, 'why'), 'lost'],
    ['failed', (id) => conversation.failed(id, false, 'why'), 'failed'],
  ])('what is %s stays so, whatever comes late', (_, end, expected) => {
    conversation.piece('a', 'x', 2)
    end('a')
    conversation.piece('a', 'late', 3)
    conversation.ended('a')
    conversation.failed('a', true, 'late')
    conversation.lineLost(4)
    conversation.lineOpened()
    expect(conversation.exchanges[0]).toMatchObject({ delivery: expected, answer: 'x', cuts: [] })
  })

  it('tells of every change, and of nothing for questions it does not know', () => {
    const told: string[] = []
    conversation.onChange = ({ id, delivery }) => told.push(`${id} ${delivery}`)
    conversation.lineOpened()
    conversation.piece('nobody', 'x', 2)
    conversation.failed('b', true, 'why')
    expect(told).toEqual(['b sent', 'b lost'])
  })
})
