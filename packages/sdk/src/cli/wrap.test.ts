import { describe, expect, it } from 'vitest';
import { wrap } from './wrap.js';

describe('a paragraph', () => {
  it('is broken between words, its lines below each other', () => {
    expect(wrap('one two three', { width: 14, indent: 4 })).toEqual(['    one two', '    three']);
    expect(wrap('one two three', { width: 14, indent: 4, lead: '  ✓ ' })).toEqual(['  ✓ one two', '    three']);
  });

  it('is one line where nobody looks, and breaks a word that is longer than a line', () => {
    expect(wrap('one two three', { width: Infinity, indent: 2 })).toEqual(['  one two three']);
    expect(wrap('x'.repeat(25), { width: 12, indent: 2 })).toEqual(['  xxxxxxxxxx', '  xxxxxxxxxx', '  xxxxx']);
  });
});
