import { beforeEach, describe, expect, it } from 'vitest'
import { Conversation, type Delivery } from './Conversation.ts'

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
    conversation.piece('a', 'Not ')
    conversation.piece('b', 'Yes')
    conversation.piece('a', 'so.')
    conversation.ended('a')
    expect(conversation.exchanges.map(({ answer, delivery }) => [answer, delivery])).toEqual([
      ['Not so.', 'answered'],
      ['Yes', 'answering'],
    ])
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
    ['cut', (id) => conversation.failed(id, true, 'why'), 'cut'],
    ['failed', (id) => conversation.failed(id, false, 'why'), 'failed'],
  ])('what is %s stays so, whatever comes late', (_, end, expected) => {
    conversation.piece('a', 'x')
    end('a')
    conversation.piece('a', 'late')
    conversation.ended('a')
    conversation.failed('a', true, 'late')
    conversation.lineOpened()
    expect(conversation.exchanges[0]).toMatchObject({ delivery: expected, answer: 'x' })
  })

  it('tells of every change, and of nothing for questions it does not know', () => {
    const told: string[] = []
    conversation.onChange = ({ id, delivery }) => told.push(`${id} ${delivery}`)
    conversation.lineOpened()
    conversation.piece('nobody', 'x')
    conversation.failed('b', true, 'why')
    expect(told).toEqual(['b sent', 'b cut'])
  })
})
