import { Button, type CSSVariablesResolver, createTheme, type MantineColorsTuple, rem } from '@mantine/core';

/** Defines colours, sizes and defaults of the components. */

const tide: MantineColorsTuple = [
  '#ecf8fa',
  '#d8eff3',
  '#b0dee7',
  '#82cbd8',
  '#55b8c9',
  '#2fa5b8',
  '#178fa3',
  '#0e7588',
  '#0b5f6f',
  '#084a57',
];
const slate: MantineColorsTuple = [
  '#dde3ea',
  '#bac3cf',
  '#98a3b2',
  '#6b7787',
  '#3d4753',
  '#313a45',
  '#262d36',
  '#1b2128',
  '#14191f',
  '#0e1216',
];

/** The theme: small controls, muted colours and dense spacing, for a tool that is open all day. */
export const theme = createTheme({
  primaryColor: 'tide',
  primaryShade: { light: 7, dark: 7 },
  colors: { tide, dark: slate },
  fontFamily:
    "system-ui, -apple-system, 'Segoe UI Variable Text', 'Segoe UI', Roboto, 'Noto Sans', 'Liberation Sans', sans-serif",
  fontFamilyMonospace: "ui-monospace, 'Cascadia Mono', 'SF Mono', Consolas, 'DejaVu Sans Mono', monospace",
  fontSizes: { xs: rem(12), sm: rem(13), md: rem(14), lg: rem(16), xl: rem(20) },
  headings: { fontWeight: '600' },
  defaultRadius: 'md',
  radius: { xs: rem(3), sm: rem(5), md: rem(7), lg: rem(10), xl: rem(16) },
  cursorType: 'default',
  respectReducedMotion: true,
  components: {
    Button: Button.extend({
      defaultProps: { size: 'sm' },
      vars: (_, { size }) => ({
        root:
          size === 'sm' ? { '--button-height': rem(34), '--button-fz': rem(13), '--button-padding-x': rem(14) } : {},
      }),
    }),
    ActionIcon: { defaultProps: { variant: 'subtle', color: 'gray', size: 'md' } },
    InputWrapper: {
      vars: () => ({
        label: {},
        error: { '--input-error-size': rem(12) },
        description: { '--input-description-size': rem(12) },
      }),
    },
    TextInput: { defaultProps: { size: 'sm' } },
    PasswordInput: { defaultProps: { size: 'sm' } },
    Tooltip: {
      defaultProps: {
        openDelay: 400,
        withArrow: false,
        multiline: true,
        maw: 340,
        events: { hover: true, focus: true, touch: false },
      },
    },
    Menu: { defaultProps: { shadow: 'md', withinPortal: false, withInitialFocusPlaceholder: false } },
    Notification: {
      styles: { description: { color: 'var(--mantine-color-dimmed)' } },
      defaultProps: { closeButtonProps: { 'aria-label': 'Close' } },
    },
    Modal: {
      styles: { title: { fontSize: rem(16), fontWeight: 600 } },
      defaultProps: {
        closeButtonProps: { 'aria-label': 'Close' },
        centered: true,
        radius: 'lg',
        overlayProps: { backgroundOpacity: 0.35 },
        transitionProps: { duration: 120 },
      },
    },
    Drawer: {
      styles: { title: { fontSize: rem(15), fontWeight: 600 } },
      defaultProps: {
        closeButtonProps: { 'aria-label': 'Close' },
        position: 'right',
        overlayProps: { backgroundOpacity: 0.25 },
        transitionProps: { duration: 160 },
      },
    },
  },
});

/** Text colours with a contrast of at least 4.5:1 on every surface of the app. */
export const cssVariables: CSSVariablesResolver = () => ({
  variables: {},
  light: {
    '--mantine-color-dimmed': '#59636f',
    '--mantine-color-text': '#1a2129',
    '--mantine-color-placeholder': '#6a7480',
    '--mantine-color-body': '#ffffff',
    '--mantine-color-error': '#b42323',
  },
  dark: {
    '--mantine-color-dimmed': '#98a3b2',
    '--mantine-color-text': '#dde3ea',
    '--mantine-color-placeholder': '#8792a1',
    '--mantine-color-body': '#1b2128',
    '--mantine-color-error': '#ff8f87',
  },
});
