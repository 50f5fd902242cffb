import { PassThrough } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { FairReads } from './FairReads.ts'

const turn = () => new Promise((resolve) => setImmediate(resolve))

function make() {
  let now = 0
  const reads = new FairReads(() => now)
  const handled: string[] = []
  const source = (owner: string, costMs: number) => {
    const tcp = new PassThrough()
    let held = false
    tcp.on('data', (chunk) => {
      now += costMs
      handled.push(`${owner} ${chunk}`)
    })
    reads.add({ tcp, isHeld: () => held }, owner)
    return {
      tcp,
      hold: () => {
        held = true
        tcp.pause()
      },
    }
  }
  return { source, handled }
}

describe('fair reads', () => {
  it('who stays within a slice is read as it comes', async () => {
    const { source, handled } = make()
    const one = source('a', 1)
    for (let n = 0; n < 20; n += 1) one.tcp.emit('data', n)
    expect(one.tcp.isPaused()).toBe(false)
    await turn()
    expect(handled).toHaveLength(20)
  })

  it('who has used it up waits for the next turn, with all of the same owner, and with nobody else', async () => {
    const { source } = make()
    const [one, two, other] = [source('a', 10), source('a', 0), source('b', 1)]
    for (let n = 0; n < 3; n += 1) one.tcp.emit('data', n)
    other.tcp.emit('data', 0)
    expect([one, two, other].map(({ tcp }) => tcp.isPaused())).toEqual([true, true, false])
    const late = source('a', 1)
    expect(late.tcp.isPaused()).toBe(true)
    await turn()
    expect([one, two, late].map(({ tcp }) => tcp.isPaused())).toEqual([false, false, false])
    one.tcp.emit('data', 4)
    expect(one.tcp.isPaused()).toBe(false)
  })

  it('does not resume what others hold, and forgets what has closed', async () => {
    const { source } = make()
    const [one, held, gone] = [source('a', 30), source('a', 1), source('a', 1)]
    one.tcp.emit('data', 1)
    held.hold()
    gone.tcp.destroy()
    await turn()
    await turn()
    expect(held.tcp.isPaused()).toBe(true)
    expect(one.tcp.isPaused()).toBe(false)
    one.tcp.emit('data', 2)
    await turn()
    expect(held.tcp.isPaused()).toBe(true)
  })
})
