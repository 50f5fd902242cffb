import { describe, expect, it } from 'vitest'
import { CommsError } from '../core/errors.ts'
import { ReplyBuffer } from './Reply.ts'

const turn = () => new Promise((resolve) => setImmediate(resolve))

function reply() {
  let stops = 0
  const buffer = new ReplyBuffer('q', () => {
    stops += 1
  })
  const pieces: string[] = []
  const read = (async () => {
    for await (const piece of buffer) pieces.push(piece)
  })()
  read.catch(() => {})
  return { buffer, pieces, read, stops: () => stops }
}

describe('an answer', () => {
  it('comes in pieces, and as a whole', async () => {
    const { buffer, pieces, read, stops } = reply()
    buffer.start()
    buffer.push('a')
    await turn()
    buffer.push('')
    buffer.push('b')
    buffer.end()
    await read
    expect(pieces).toEqual(['a', 'b'])
    expect(await buffer.text()).toBe('ab')
    expect(stops()).toBe(0)
  })

  it('that fails says how far it had come', async () => {
    const { buffer, pieces, read } = reply()
    buffer.push('half')
    buffer.end(new CommsError('no', { code: 'REMOTE' }))
    await expect(read).rejects.toMatchObject({ code: 'REMOTE', text: 'half' })
    await expect(buffer.text()).rejects.toMatchObject({ code: 'REMOTE', text: 'half' })
    expect(pieces).toEqual(['half'])
  })

  it('only its asker ends it short without an error', async () => {
    const { buffer, read, stops } = reply()
    buffer.push('half')
    buffer.stop()
    await read
    expect(await buffer.text()).toBe('half')
    expect(stops()).toBe(1)
  })

  it.each([
    ['the same words', ['one ', 'two ', 'three']],
    ['the same words, cut differently', ['o', 'ne two', ' three']],
    ['all at once', ['one two three']],
  ])('that begins anew with %s goes on without a gap', async (_what, again) => {
    const { buffer, pieces, read } = reply()
    buffer.start()
    buffer.push('one ')
    await turn()
    buffer.push('two ')
    await turn()
    buffer.start()
    for (const piece of again) {
      buffer.push(piece)
      await turn()
    }
    buffer.end()
    await read
    expect(pieces.join('')).toBe('one two three')
    expect(await buffer.text()).toBe('one two three')
  })

  it('may begin anew more than once, before it has caught up, too', async () => {
    const { buffer, pieces, read } = reply()
    for (const [run, length] of [5, 2, 0, 7, 3, 9].entries()) {
      buffer.start()
      for (const letter of 'abcdefghi'.slice(0, length)) buffer.push(letter)
      if (run !== 2) await turn()
    }
    buffer.end()
    await read
    expect(pieces.join('')).toBe('abcdefghi')
  })

  it.each([
    ['other words', 'one TWO three'],
    ['fewer', 'one'],
  ])(
    'that begins anew with %s leaves its reader behind, and is whole for who waits',
    async (_what, again) => {
      const { buffer, read, stops } = reply()
      buffer.start()
      buffer.push('one two')
      await turn()
      buffer.start()
      buffer.push(again)
      await turn()
      buffer.end()
      await expect(read).rejects.toMatchObject({ code: 'RESTARTED', isReplyError: true })
      expect(await buffer.text()).toBe(again)
      expect(stops()).toBe(0)
    },
  )

  it('that begins anew counts from its new start, also for its failure', async () => {
    const { buffer } = reply()
    buffer.push('one ')
    buffer.start()
    buffer.push('two')
    buffer.end(new CommsError('no', { code: 'CONNECTION' }))
    await expect(buffer.text()).rejects.toMatchObject({ text: 'two' })
  })
})
