import { describe, expect, it } from 'vitest'
import { SendBacklog, type Written } from './SendBacklog.ts'

/** A socket whose reader takes frames when it is told to. */
function make() {
  const frames: { text: string; bytes: number; written: Written | undefined }[] = []
  let now = 0
  const socket = {
    get bufferedAmount() {
      return frames.reduce((sum, { bytes }) => sum + bytes, 0)
    },
  }
  const backlog = new SendBacklog(socket, () => now)
  const write = (text: string, written: Written | undefined, bytes = 10) =>
    frames.push({ text, bytes, written })
  return {
    backlog,
    frames,
    send(text: string, bytes = 10) {
      backlog.flush()
      write(text, backlog.writing(), bytes)
    },
    answer: (kind: string, text: string) => backlog.writeLatest(kind, (written) => write(text, written)),
    /** The reader takes so many frames. */
    take(count: number) {
      const taken = frames.splice(0, count)
      for (const { written } of taken) written?.()
      return taken.map(({ text }) => text)
    },
    wait: (ms: number) => {
      now += ms
    },
  }
}

describe('what a connection has not read', () => {
  it('costs what its frames cost, however small they are', () => {
    const { backlog, send, take, frames } = make()
    send('large', 5000)
    for (let n = 0; n < 100; n += 1) send('x', 2)
    expect(backlog.cost).toBe(5200 + 100 * 300)
    take(frames.length)
    expect(backlog.cost).toBe(0)
  })

  it('while it keeps up every answer is written', () => {
    const { answer, take } = make()
    for (let n = 0; n < 5; n += 1) answer('pong', `pong ${n}`)
    expect(take(9)).toEqual(['pong 0', 'pong 1', 'pong 2', 'pong 3', 'pong 4'])
  })

  it('while it does not, one answer of a kind is on its way and the latest of each waits', () => {
    const { send, answer, take, frames } = make()
    send('large', 5000)
    for (let n = 0; n < 1_000; n += 1) {
      answer('pong', `pong ${n}`)
      answer('ack', `ack ${n}`)
    }
    expect(frames).toHaveLength(2)
    expect(take(2)).toEqual(['large', 'pong 0'])
    expect(take(9)).toEqual(['pong 999', 'ack 999'])
    answer('pong', 'again')
    expect(take(9)).toEqual(['again'])
  })

  it('what is written next does not overtake an answer that waits', () => {
    const { send, answer, take } = make()
    send('large', 5000)
    answer('flushed 1', 'first')
    answer('flushed 1', 'flushed')
    send('volatile')
    expect(take(9)).toEqual(['large', 'first', 'flushed', 'volatile'])
  })

  it('says for how long nothing has been taken', () => {
    const { backlog, send, take, wait } = make()
    wait(1000)
    send('large', 5000)
    expect(backlog.stuckMs).toBe(0)
    send('x')
    send('y')
    wait(500)
    expect(backlog.stuckMs).toBe(500)
    take(2)
    expect(backlog.stuckMs).toBe(0)
    wait(20)
    expect(backlog.stuckMs).toBe(20)
    take(2)
    wait(1000)
    expect(backlog.stuckMs).toBe(0)
  })
})
