"""A made-up bicycle shop: the files it would upload, and forty questions of its customers."""

from __future__ import annotations

FILES = {
    "returns.md": """# Returns and refunds

You can return a new bicycle within 30 days of delivery if it has been ridden less than 20 kilometres. Clothing can be
returned within 60 days with its labels attached. Helmets cannot be returned once the box has been opened, for reasons
of safety.

## How to send something back

Write to returns@brightwater.example with your order number. We send a prepaid label within one working day. Bicycles
are collected from your door by our own van; parcels go to any post office.

## When the money arrives

Refunds are paid to the card that was used for the purchase, five working days after we have received the goods. The
delivery fee is refunded only if the goods were faulty.
""",
    "warranty.txt": """Warranty

Every frame carries a lifetime warranty against breakage for its first owner. Painted parts and forks are covered for
five years. Motors and batteries of electric bicycles are covered for two years or 500 charging cycles, whichever comes
first. Brake pads, tyres, chains and other wearing parts are excluded.

The warranty is void if the motor has been opened by anyone but an authorised workshop or if its software has been
changed. Racing and commercial delivery work are not covered either.

To make a claim, bring the bicycle and the invoice to any of our shops. A mechanic inspects it within three days. If the
claim is accepted we repair or replace the part without charge; labour is included.
""",
    "shops.json": """{
  "shops": {
    "Harbour Street": {"city": "Lynmouth", "phone": "01598 555 010", "opens": "Tuesday to Saturday, 9:30 to 18:00",
      "parking": "two free spaces in the yard", "manager": "Oona Pell"},
    "Old Mill": {"city": "Barrowden", "phone": "01572 555 044", "opens": "Monday to Friday, 8:00 to 17:00",
      "parking": "public car park opposite, 2.40 an hour", "manager": "Tobias Wren"}
  },
  "office": {"address": "4 Quay Lane, Lynmouth", "email": "hello@brightwater.example"}
}
""",
    "prices.csv": """item,price,stock
spanner set,44,12
floor pump,39,30
mini pump,22,51
puncture repair kit,6,200
inner tube 28 inch,8,340
city helmet,59,25
child helmet,45,18
rain jacket,89,40
front light,35,64
rear light,25,71
folding lock,95,16
chain lock,55,28
child seat,129,9
rear rack,48,22
pannier bag pair,110,14
chain oil 100 ml,9,87
bottle cage,12,60
bell,7,150
Heron city bicycle,690,6
Kestrel touring bicycle,1480,4
Swift electric bicycle,2950,3
""",
    "workshop.md": """# Workshop

## Services

A basic service costs 65 and takes one hour: we check the brakes, gears and bearings and clean the chain. A full
service costs 140; we take the bicycle apart, and it stays with us for two days. Fitting a part that you bought from us
is free; parts bought elsewhere are fitted for 30 an hour.

## Appointments

Book online or by telephone. In spring the waiting time is about two weeks, in winter two days. A puncture is mended
while you wait, without an appointment.

## Courtesy bicycle

While yours is in the workshop for more than a day we lend you a bicycle. A deposit of 100 is asked for.
""",
    "hire.txt": """Bicycle hire

Day hire: 28 for a city bicycle, 42 for an electric one. Weekly hire: 120 and 190. Helmets and locks are included.
Children under twelve need an adult with them. A photo identity card and a card deposit of 150 are required.

Cancel up to 24 hours before the start and you get all of the money back; after that half of the price is kept.
If the bicycle is stolen while it was locked with our lock, you pay no more than the deposit.
Groups of eight or more get 15 percent off and a guide for the first hour.
""",
    "delivery.html": """<html><head><title>Delivery</title></head><body>
<h1>Delivery</h1>
<p>Parcels go out on the day of the order if it reaches us before 14:00. Delivery within the country takes two working
days and costs 4.90; orders over 75 are delivered free of charge.</p>
<p>Bicycles are delivered assembled, by our own van, for 35. The driver calls half an hour before arriving.</p>
<h2>Abroad</h2>
<p>We deliver parcels to Ireland, France and the Netherlands for 14. Bicycles are not sent abroad.</p>
<h2>Payment</h2>
<p>We take cards, bank transfer and cash in the shops. Bicycles above 500 can be paid in twelve monthly instalments
without interest. Gift vouchers are valid for three years.</p>
</body></html>
""",
    "faq.txt": """Do you buy used bicycles? Yes, if they are less than six years old; bring it to Harbour Street.
Do you lend tools? No.
Can I take a test ride? Yes, half an hour with any bicycle, leave an identity card with us.
Is there a membership? The Brightwater Club costs 20 a year and gives ten percent off the workshop.
How do I charge the Swift? Use only the charger that came with it; a full charge takes four and a half hours.
How far does the Swift go? About 90 kilometres on the level in the eco mode.
What is the heaviest rider you allow? 120 kilograms including luggage, on every model.
Are dogs welcome in the shops? Yes, on a lead.
""",
}

ANSWERABLE = (
    "What does a spanner set cost?",
    "how much is a floor pump",
    "Can I send back a helmet I have already unpacked?",
    "How many days do I have to return a bike?",
    "When will I get my money back?",
    "How long is the battery guaranteed?",
    "Is the frame covered if it breaks?",
    "What are the opening hours in Lynmouth?",
    "phone number of the Barrowden shop",
    "Who runs the Harbour Street shop?",
    "What's the price of a full service?",
    "Do I need an appointment to get a flat tyre fixed?",
    "Can I borrow a bike while mine is being repaired?",
    "How much does it cost to rent an e-bike for a week?",
    "What happens if the hired bike gets stolen?",
    "Do you ship to France?",
    "Is delivery free for big orders?",
    "Can I pay in instalments?",
    "How long does it take to charge the Swift?",
    "May I bring my dog?",
)

UNANSWERABLE = (
    "What does a tandem cost?",
    "Do you sell skateboards?",
    "Which brand are your tyres?",
    "Can I return a gift voucher?",
    "Who founded the company?",
    "How many people work for you?",
    "Do you have a shop in London?",
    "What colour is the Heron?",
    "Is there a discount for students?",
    "Do you offer insurance against theft?",
    "What is the weight of the Kestrel?",
    "Do you accept Bitcoin?",
    "Are you hiring mechanics?",
    "Who won the football world cup in 1998?",
    "What is the capital of Mongolia?",
    "Write me a poem about the sea.",
    "How do I bake sourdough bread?",
    "What is the weather like tomorrow?",
    "Can you help me with my tax return?",
    "Which medicine helps against a headache?",
)
