import { expect, it } from 'vitest'
import { checkFilename } from './filename.ts'

it.each([
  'photo.png',
  'Müller – Vertrag (2).pdf',
  '.gitignore',
  'archive.tar.gz',
  'con-tract.txt',
  'console.log',
  '報告書.docx',
  'a..b',
  'null.txt',
  '👨‍👩‍👧.jpg',
])('passes: %s', (name) => {
  expect(checkFilename(name)).toBeNull()
})

it.each([
  '',
  ' ',
  '.',
  '..',
  '...',
  '../etc',
  '..\\x',
  'a/b',
  'a\\b',
  '/etc/passwd',
  'C:\\x',
  'C:x',
  'a%2fb',
  'a%252Fb',
  'a%5cb',
  '%2e%2e',
  'a%00.png',
  'a%c0%afb',
  'a／b',
  'a＼b',
  'a∕b',
  '．．',
  'a\0.png',
  'a\nb',
  'a\x7f',
  'a\x85b',
  'a<b',
  'a|b',
  'a?',
  'a*',
  'a"b',
  'file.txt:stream',
  'CON',
  'con.txt',
  'Aux.tar.gz',
  'nul .txt',
  'prn',
  'COM1',
  'com¹.txt',
  'lpt9.log',
  'CONIN$',
  'a.',
  'a ',
  'a.txt...',
  'photo\u202egpj.exe',
  'a\u200b\u2063.png',
  'a\u{e0041}.png',
  '\ud800.png',
])('is refused as dangerous: %j', (name) => {
  expect(checkFilename(name)).toMatchObject({ rule: 'filename', message: expect.stringMatching(/dangerous/) })
})

it('counts bytes, not characters', () => {
  expect(checkFilename('a'.repeat(255))).toBeNull()
  expect(checkFilename('ö'.repeat(128))?.rule).toBe('maxLength')
  expect(checkFilename('a'.repeat(33), { maxBytes: 32 })?.rule).toBe('maxLength')
})

it('looks at the last extension only, in any case', () => {
  const options = { extensions: ['.png', '.JPG'] }
  expect(checkFilename('a.jpg', options)).toBeNull()
  expect(checkFilename('a.PNG', options)).toBeNull()
  for (const name of ['a.png.exe', 'png', '.png', 'a'])
    expect(checkFilename(name, options)?.rule).toBe('extension')
})
