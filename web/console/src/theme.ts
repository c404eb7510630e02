import { type CSSVariablesResolver, createTheme, type MantineColorsTuple } from '@mantine/core';

/** The one accent: a quiet blue-violet. */
const iris: MantineColorsTuple = [
  '#eef0fd',
  '#dfe2fa',
  '#c0c5f3',
  '#9da5ec',
  '#7b85e3',
  '#5a64d4',
  '#4f59cd',
  '#4650c8',
  '#3941a8',
  '#2c3287',
];

const slate: MantineColorsTuple = [
  '#f8f9fb',
  '#f1f3f6',
  '#e6e9ee',
  '#d9dde4',
  '#c3c9d3',
  '#a0a8b5',
  '#757e8d',
  '#5a6270',
  '#363c47',
  '#191c22',
];

const night: MantineColorsTuple = [
  '#dfe2e8',
  '#b3b9c4',
  '#99a1ae',
  '#626a78',
  '#363c47',
  '#2a2f38',
  '#20242b',
  '#171a20',
  '#111317',
  '#0b0c0f',
];

/** Dark enough that white on it can be read, in both schemes. */
const red: MantineColorsTuple = [
  '#fef1f0',
  '#fcdedb',
  '#f8bdb8',
  '#f2958e',
  '#e96a61',
  '#cf3a30',
  '#c5332a',
  '#b92c23',
  '#96231c',
  '#6f1a15',
];

export const theme = createTheme({
  colors: { iris, gray: slate, dark: night, red },
  primaryColor: 'iris',
  primaryShade: { light: 7, dark: 5 },
  autoContrast: true,
  luminanceThreshold: 0.36,
  defaultRadius: 'md',
  radius: { xs: '4px', sm: '6px', md: '8px', lg: '12px', xl: '16px' },
  fontFamily:
    'system-ui, -apple-system, "Segoe UI", "Inter", Roboto, "Noto Sans", "Liberation Sans", "DejaVu Sans", sans-serif',
  fontFamilyMonospace:
    'ui-monospace, "SF Mono", "Cascadia Mono", Menlo, Consolas, "Liberation Mono", "DejaVu Sans Mono", monospace',
  fontSizes: { xs: '12px', sm: '13.5px', md: '14.5px', lg: '17px', xl: '20px' },
  headings: {
    fontWeight: '620',
    sizes: {
      h1: { fontSize: '24px', lineHeight: '1.25' },
      h2: { fontSize: '16px', lineHeight: '1.35' },
      h3: { fontSize: '14.5px', lineHeight: '1.4' },
    },
  },
  cursorType: 'pointer',
  focusRing: 'auto',
  components: {
    Button: { defaultProps: { size: 'sm' } },
    Modal: {
      defaultProps: { centered: true, radius: 'lg', overlayProps: { backgroundOpacity: 0.4, blur: 2 } },
      styles: { title: { fontWeight: 620, fontSize: '16px' } },
    },
    Tooltip: { defaultProps: { openDelay: 300, withArrow: true } },
    Select: { defaultProps: { allowDeselect: false, checkIconPosition: 'right' } },
    Checkbox: { defaultProps: { radius: 'xs' } },
    Alert: {
      styles: {
        root: { background: 'var(--app-sunken)', border: '1px solid var(--app-line)' },
        title: { color: 'var(--mantine-color-text)' },
        message: { color: 'var(--mantine-color-text)' },
      },
    },
    Menu: { defaultProps: { shadow: 'md', position: 'bottom-end' } },
  },
});

export const variables: CSSVariablesResolver = () => ({
  variables: { '--app-side': '244px' },
  light: {
    '--mantine-color-body': '#ffffff',
    '--mantine-color-text': '#20242c',
    '--mantine-color-dimmed': '#5b6472',
    '--mantine-color-placeholder': '#6b7482',
    '--mantine-color-error': '#b42318',
    '--mantine-color-default-border': '#d5dae2',
    '--mantine-color-anchor': '#3d46b8',
    '--app-side-bg': '#f6f7f9',
    '--app-line': '#e6e9ee',
    '--app-raised': '#ffffff',
    '--app-sunken': '#f6f7f9',
    '--app-hover': '#f4f5f8',
    '--app-accent-soft': '#eceefc',
    '--app-accent-text': '#3a42ad',
    '--app-good': '#1a8a4c',
    '--app-wait': '#b76e00',
    '--app-bad': '#cf2f24',
    '--app-hold': '#7a4fd0',
    '--app-calm': '#758091',
    '--app-live': '#4650c8',
  },
  dark: {
    '--mantine-color-body': '#121419',
    '--mantine-color-text': '#e3e6eb',
    '--mantine-color-dimmed': '#9ca4b1',
    '--mantine-color-placeholder': '#8d96a4',
    '--mantine-color-error': '#ff8b80',
    '--mantine-color-default-border': '#363c47',
    '--mantine-color-anchor': '#a9b1f7',
    '--app-side-bg': '#0d0f13',
    '--app-line': '#262b33',
    '--app-raised': '#171a20',
    '--app-sunken': '#0d0f13',
    '--app-hover': '#1c2027',
    '--app-accent-soft': '#23274a',
    '--app-accent-text': '#c3c9fb',
    '--app-good': '#3fbf7a',
    '--app-wait': '#e0a03c',
    '--app-bad': '#f0685d',
    '--app-hold': '#a98af0',
    '--app-calm': '#8992a0',
    '--app-live': '#8b95f0',
  },
});
