import { describe, expect, it } from 'vitest'
import { Intake } from './intake.ts'

describe('what a leader takes of a tab', () => {
  it('is each message once, in order', () => {
    const intake = new Intake([])
    expect(intake.judge('a', 1, 1)).toEqual({ do: 'take' })
    expect(intake.judge('a', 1, 1)).toEqual({ do: 'nothing' })
    expect(intake.judge('a', 2, 1)).toEqual({ do: 'take' })
    intake.recorded('a', 1)
    expect(intake.judge('a', 1, 1)).toEqual({ do: 'confirm' })
    expect(intake.judge('b', 1, 1)).toEqual({ do: 'take' })
  })

  it('is nothing before what is missing', () => {
    const intake = new Intake([])
    expect(intake.judge('a', 2, 1)).toEqual({ do: 'again' })
    expect(intake.judge('a', 1, 1)).toEqual({ do: 'take' })
    expect(intake.judge('a', 2, 1)).toEqual({ do: 'take' })
  })

  it('is not what an older leader had taken', () => {
    const intake = new Intake([['a', { n: 5, refused: [] }]])
    expect(intake.judge('a', 4, 4)).toEqual({ do: 'confirm' })
    expect(intake.judge('a', 6, 4)).toEqual({ do: 'take' })
  })

  it('goes on where a tab says that it stands, when nothing is remembered of it', () => {
    const intake = new Intake([])
    expect(intake.judge('a', 8, 7)).toEqual({ do: 'again' })
    expect(intake.judge('a', 7, 7)).toEqual({ do: 'take' })
    expect(intake.judge('a', 8, 7)).toEqual({ do: 'take' })
  })

  it('stays refused until the tab has heard of it', () => {
    const why = { code: 'QUEUE_FULL', message: 'full' } as const
    const intake = new Intake([])
    intake.judge('a', 1, 1)
    intake.judge('a', 2, 1)
    intake.refused('a', 1, why)
    const next = new Intake([['a', intake.mark('a') as never]])
    expect(next.judge('a', 1, 1)).toEqual({ do: 'refuse', why })
    expect(next.judge('a', 3, 3)).toEqual({ do: 'take' })
    expect(next.mark('a')).toEqual({ n: 3, refused: [] })
  })

  it('is forgotten with the tab', () => {
    const intake = new Intake([['a', { n: 5, refused: [] }]])
    expect(intake.tabs).toEqual(['a'])
    intake.forget('a')
    expect(intake.tabs).toEqual([])
  })
})
