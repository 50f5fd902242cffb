import { describe, expect, it } from 'vitest'
import { ahead, lazily } from './lazily.ts'

describe('a part that loads when it is first asked for', () => {
  it('is loaded once, and then there at once', async () => {
    let loads = 0
    const part = lazily(async () => ({ loads: ++loads }))
    expect(loads).toBe(0)
    expect(await part()).toEqual({ loads: 1 })
    expect(part()).toEqual({ loads: 1 })
  })

  it('that cannot be had is a typed error, and tried again when it is asked for again', async () => {
    let reachable = false
    const part = lazily(async () => {
      if (!reachable) throw new TypeError('Failed to fetch dynamically imported module')
      return { it: 'is here' }
    })
    await expect(part()).rejects.toMatchObject({
      code: 'LOAD_FAILED',
      name: 'CommsError',
      cause: { message: 'Failed to fetch dynamically imported module' },
    })
    reachable = true
    expect(await part()).toEqual({ it: 'is here' })
  })

  it('may be fetched ahead of its use, which is when a failure is told', async () => {
    let loads = 0
    const part = lazily(async () => {
      loads += 1
      if (loads === 1) throw new TypeError('unreachable')
      return { loads }
    })
    ahead(part)
    await new Promise((resolve) => setImmediate(resolve))
    ahead(part)
    await new Promise((resolve) => setImmediate(resolve))
    expect(part()).toEqual({ loads: 2 })
  })
})
