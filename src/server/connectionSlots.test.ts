import { describe, expect, it } from 'vitest'
import { ConnectionSlots } from './connectionSlots.ts'

describe('places for connections', () => {
  it('are counted in all and by address, and given back', () => {
    const slots = new ConnectionSlots(3, 2)
    expect(slots.enter('a')).toBeUndefined()
    expect(slots.enter('a')).toBeUndefined()
    expect(slots.enter('a')).toBe('too many connections of this address')
    expect(slots.enter('b')).toBeUndefined()
    expect(slots.enter('c')).toBe('too many connections')
    slots.leave('a')
    expect(slots.enter('c')).toBeUndefined()
    slots.leave('b')
    expect(slots.enter('a')).toBeUndefined()
  })

  it('one that was never taken cannot be given back', () => {
    const slots = new ConnectionSlots(1, 1)
    slots.leave('nobody')
    expect(slots.enter('a')).toBeUndefined()
    expect(slots.enter('b')).toBe('too many connections')
  })
})
