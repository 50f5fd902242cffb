import { expect, it } from 'vitest'
import { Tellings } from './Tellings.ts'

const turn = () => new Promise<void>((resolve) => setImmediate(resolve))

it('tells once the step is over, in order', async () => {
  const heard: string[] = []
  const tellings = new Tellings()
  tellings.add(() => heard.push('first'))
  tellings.add(() => heard.push('second'))
  expect(heard).toEqual([])
  await undefined
  expect(heard).toEqual(['first', 'second'])
})

it('one that always has more to tell leaves every turn to others', async () => {
  const heard: number[] = []
  const tellings = new Tellings()
  const tell = () => {
    heard.push(heard.length)
    if (heard.length < 1000) tellings.add(tell)
  }
  tellings.add(tell)
  await undefined
  expect(heard).toEqual([0])
  await turn()
  await turn()
  expect(heard.length).toBeLessThan(5)
  while (heard.length < 1000) await turn()
})
