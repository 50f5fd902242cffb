import { describe, expect, it } from 'vitest'
import { VirtualClock } from '../testing/VirtualClock.ts'
import { RefusalLog } from './refusals.ts'

function log() {
  const lines: string[] = []
  const warn = (line: string) => lines.push(line)
  const clock = new VirtualClock()
  const other = () => {
    throw new Error('only warnings')
  }
  return { lines, clock, refusals: new RefusalLog({ debug: other, info: other, warn, error: other }, clock) }
}
const request = { method: 'GET', url: '/ws?token=secret', socket: { remoteAddress: '10.0.0.7' } }

describe('the log of refusals', () => {
  it('says what, of whom, why, and which option would change it; no query', () => {
    const { lines, refusals } = log()
    refusals.tell(
      { reason: 'this origin is not allowed', option: 'allowedOrigins', came: 'https://x.example' },
      request,
    )
    expect(lines).toEqual([
      'refused GET "/ws" from 10.0.0.7: this origin is not allowed, "https://x.example"; see the option "allowedOrigins"',
    ])
  })

  it('one line of each option in ten seconds, with how many were left out', async () => {
    const { lines, refusals, clock } = log()
    for (let n = 0; n < 1000; n += 1) {
      refusals.tell({ reason: 'no', option: 'allowedHosts' }, request)
      refusals.tell({ reason: 'no', option: 'maxConnections' }, request)
    }
    expect(lines).toHaveLength(2)
    await clock.advance(10_000)
    refusals.tell({ reason: 'no', option: 'allowedHosts' }, request)
    expect(lines).toHaveLength(3)
    expect(lines[2]).toContain('(and 999 more for this since the last such line)')
  })

  it('what came from the network cannot write lines of its own, or long ones', () => {
    const { lines, refusals } = log()
    refusals.tell(
      { reason: 'no', option: 'allowedHosts', came: `x\nrefused nobody${'y'.repeat(5000)}` },
      { method: 'GET', url: `/\u001b[31m${'z'.repeat(5000)}` },
    )
    expect(lines[0]).not.toContain('\n')
    expect(lines[0]).not.toContain('\u001b')
    expect(lines[0]?.length).toBeLessThan(500)
  })

  it('without a logger it does nothing', () => {
    new RefusalLog(undefined, new VirtualClock()).tell({ reason: 'no', option: 'x' })
  })
})
