"""The Complete Journey: a year of grocery shopping of 2,469 households, with dated campaigns and coupon redemptions."""
