import { Anchor, type AnchorProps, Button, type ButtonProps } from '@mantine/core';
import { createLink } from '@tanstack/react-router';
import type { AnchorHTMLAttributes, Ref } from 'react';

type Plain = Omit<AnchorHTMLAttributes<HTMLAnchorElement>, 'color' | 'style'> & {
  ref?: Ref<HTMLAnchorElement>;
};

/** A link to another room, with its path and search checked by the compiler. */
export const RoomLink = createLink((props: AnchorProps & Plain) => <Anchor {...props} />);

/** The same in the looks of a button. */
export const RoomButton = createLink((props: ButtonProps & Plain) => <Button component="a" {...props} />);
